"""What the fleet cost beside one call of one model per request, from rows whose sums are known."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from costs_ledger import Costs, TokenPrices, attempts, write

from desk import wiring
from desk.runtime.fleet import Fleet, ModelRef
from desk.runtime.ledger import saving as saving_module
from desk.runtime.ledger.attempt import (
    DAY_US,
    NOT_DELIVERED,
    Attempt,
    new_id,
)
from desk.runtime.ledger.baseline import baseline_model
from desk.runtime.ledger.saving import Baseline, Comparison, Saving
from desk.runtime.subagent import SubAgent

NOW = time.time_ns() // 1000
OPUS = "anthropic:claude-opus-5-5"
# Nano-dollars a token, in and out.
PRICES = {"claude-haiku-5-5": (100, 500), "claude-opus-5-5": (4_000, 20_000)}


class Extractor(SubAgent[Any]):
    """Stands for a sub-agent whose prompt nobody edits."""

    def prompt(self) -> str:
        return "Read this part of the document." * 30


BASELINES = {
    "draft_polish": Baseline("draft", ("draft", "polish")),
    "extractor_reasoner": Baseline("extract", ("reason",), each=Extractor("extract", str)),
}


class Desk:
    """A ledger to write runs to, and what they saved."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, NOW

    def run(self, pipeline: str | None, *calls: tuple[str, int, int], **more: Any) -> str:
        """Write one request: its calls on haiku, in order, as (stage, tokens in, tokens out)."""
        run_id = new_id()
        rows = [self.attempt(run_id, pipeline, *call, **more) for call in calls]
        self.write(rows)
        return run_id

    def attempt(
        self, run_id: str, pipeline: str | None, stage: str, read: int, written: int, **more: Any
    ) -> Attempt:
        self.at += 1
        model = more.pop("request_model", "claude-haiku-5-5")
        per_in, per_out = PRICES[model]
        values = {
            "run_id": run_id,
            "pipeline": pipeline,
            "stage": stage,
            "model": model,
            "provider": "anthropic",
            "input_tokens": read,
            "output_tokens": written,
            "cost_nano_usd": read * per_in + written * per_out,
        }
        (row,) = attempts(1, **{**values, "ts_us": self.at, **more})
        return row

    def write(self, rows: Sequence[Attempt]) -> None:
        write(self.path, rows)

    def compare(self, environment: str | None = None, model: str = OPUS) -> Any:
        prices = TokenPrices({OPUS: ("4", "20")})
        comparison = Comparison(prices, ModelRef.parse(model), BASELINES)
        return comparison.over(self.path, NOW // DAY_US - 7, environment)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "ledger.sqlite3")


def on_opus(read: int, written: int) -> int:
    return read * 4_000 + written * 20_000


def test_a_routed_answer_is_compared_with_its_last_call_alone(desk: Desk) -> None:
    run_id = desk.run(None, ("classify", 300, 40))
    desk.write([desk.attempt(run_id, "answer", "answer", 900, 350)])
    saving = desk.compare()
    assert saving.cost_nano_usd == 300 * 100 + 40 * 500 + 900 * 100 + 350 * 500
    assert saving.baseline_nano_usd == on_opus(900, 350)
    assert (saving.answered, saving.unanswered, saving.left_out) == (1, 0, 0)
    assert str(saving) == (
        "1 request cost $0.000315; one call of anthropic:claude-opus-5-5 each $0.0106; "
        "saved $0.0103 (97.0 %)."
    )


def test_a_document_is_read_once_and_what_each_piece_repeats_as_well(desk: Desk) -> None:
    parts = [("extract", 3000, 400), ("extract", 2500, 300), ("extract", 1200, 0)]
    desk.run("extractor_reasoner", *parts, ("reason", 900, 200))
    repeated = BASELINES["extractor_reasoner"].repeated_tokens()
    assert 0 < repeated < 1200
    read = 3000 + 2500 + 1200 - 2 * repeated
    assert desk.compare().baseline_nano_usd == on_opus(read, 200)


def test_drafts_marks_and_judges_are_no_part_of_it(desk: Desk) -> None:
    shipped = desk.run("draft_polish", ("draft", 600, 450), ("score", 1300, 120))
    desk.run("draft_polish", ("draft", 610, 440), ("score", 1310, 110), ("polish", 1400, 500))
    judge = desk.attempt(shipped, "draft_polish", "judge", 2000, 50, parent_id="a call")
    desk.write([judge])
    saving = desk.compare()
    assert saving.answered == 2
    assert saving.baseline_nano_usd == on_opus(600, 450) + on_opus(610, 500)


@pytest.mark.parametrize(("put_back", "delivered"), [((), 30), ((2,), 20), ((1, 2), 10)])
def test_the_delivered_version_is_what_it_would_have_written(
    desk: Desk, put_back: tuple[int, ...], delivered: int
) -> None:
    """Where rewrites are scored, the draft or an earlier rewrite may ship."""
    run_id = new_id()
    versions = [("draft", 10), ("polish", 20), ("polish", 30)]
    for at, (stage, written) in enumerate(versions):
        error = {"error_type": NOT_DELIVERED} if at in put_back else {}
        desk.write([desk.attempt(run_id, "draft_polish", stage, 100 + at, written, **error)])
        desk.write([desk.attempt(run_id, "draft_polish", "score", 200, 5)])
    assert desk.compare().baseline_nano_usd == on_opus(100, delivered)


def test_what_doctor_asked_is_nobodys_request(desk: Desk) -> None:
    desk.run(None, ("doctor", 20, 5))
    desk.run("answer", ("answer", 900, 350))
    saving = desk.compare()
    assert (saving.requests, saving.left_out) == (1, 0)


def test_a_batch_is_compared_with_a_batch(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350), service_tier="batch")
    assert desk.compare().baseline_nano_usd * 2 == on_opus(900, 350)


def test_retries_and_refused_answers_cost_but_count_once(desk: Desk) -> None:
    run_id, call_id = new_id(), new_id()
    poor = desk.attempt(run_id, "answer", "answer", 100, 5, outcome="rejected", call_id=call_id)
    good = desk.attempt(run_id, "answer", "answer", 100, 50, attempt=2, call_id=call_id)
    desk.write([poor, good])
    saving = desk.compare()
    assert saving.cost_nano_usd == (poor.cost_nano_usd or 0) + (good.cost_nano_usd or 0)
    assert saving.baseline_nano_usd == on_opus(100, 50)


def test_a_call_of_the_model_itself_saves_nothing_and_costs_nothing_more(desk: Desk) -> None:
    more = {"request_model": "claude-opus-5-5", "reasoning_output_tokens": 300}
    desk.run("answer", ("answer", 900, 350), **more)
    saving = desk.compare()
    assert saving.saved_nano_usd == 0
    assert str(saving).endswith("saved $0.00 (0.0 %).")


def test_what_another_model_thinks_is_not_the_answer(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350), reasoning_output_tokens=300)
    assert desk.compare().baseline_nano_usd == on_opus(900, 50)


def test_a_loss_is_called_one(desk: Desk) -> None:
    run_id = desk.run("answer", ("answer", 10, 10), request_model="claude-opus-5-5")
    desk.write([desk.attempt(run_id, None, "classify", 400, 10)])
    assert "; cost $0.000045 more (18.8 %)." in str(desk.compare())


def test_requests_without_an_answer_of_a_model_cost_and_are_compared_with_nothing(
    desk: Desk,
) -> None:
    desk.run("draft_polish", ("draft", 600, 450))
    failed = new_id()
    desk.write(
        [
            desk.attempt(failed, "draft_polish", "draft", 600, 450),
            desk.attempt(failed, "draft_polish", "score", 0, 0, outcome="failed"),
        ]
    )
    asked = new_id()
    desk.write([desk.attempt(asked, "answer", "answer", 90, 9, outcome="rejected"),
                desk.attempt(asked, "answer", "answer", 0, 0, outcome="escalated")])  # fmt: skip
    desk.run(None, ("classify", 300, 40))
    saving = desk.compare()
    assert (saving.answered, saving.unanswered) == (1, 3)
    assert saving.baseline_nano_usd == on_opus(600, 450)
    assert "3 got no answer of a model" in str(saving)


def test_nothing_that_cost_nothing_is_not_a_saving() -> None:
    text = str(Saving("own:model", 0, unanswered=15, left_out=2))
    assert "saved" not in text and "nothing to compare" in text
    assert "15 got no answer" in text and "2 more are left out" in text


def test_what_is_not_known_is_in_neither_figure(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350))
    before = desk.compare()
    unpriced = {"cost_nano_usd": None, "cost_source": "unpriced"}
    desk.run("answer", ("answer", 900, 350), **unpriced)
    unmeasured = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    desk.run("answer", ("answer", 0, 0), cost_source="none", **unmeasured)
    saving = desk.compare()
    assert saving.left_out == 2
    assert (saving.cost_nano_usd, saving.baseline_nano_usd) == (
        before.cost_nano_usd,
        before.baseline_nano_usd,
    )


def test_other_days_and_the_demo_are_counted_apart(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350), environment="demo")
    desk.run("answer", ("answer", 100, 10))
    desk.run("answer", ("answer", 5000, 5000), ts_us=NOW - 30 * DAY_US)
    assert desk.compare().baseline_nano_usd == on_opus(100, 10)
    assert desk.compare("demo").baseline_nano_usd == on_opus(900, 350)
    assert desk.compare("staging").answered == 0


def test_a_long_period_is_cut_to_its_last_days(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in range(5):
        desk.run("answer", ("answer", 900, 350), ts_us=NOW - days * DAY_US)
    monkeypatch.setattr(saving_module, "MOST_ROWS", 2)
    saving = desk.compare()
    assert (saving.since, saving.answered) == (NOW // DAY_US - 1, 2)
    monkeypatch.setattr(saving_module, "MOST_ROWS", 0)
    assert desk.compare().answered == 1


def test_a_clock_that_ran_far_ahead_stops_nothing(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350), ts_us=9_000_000 * DAY_US)
    assert desk.compare().answered == 1


def test_a_model_without_a_price_is_not_compared_with(desk: Desk) -> None:
    desk.run("answer", ("answer", 900, 350))
    saving = desk.compare(model="anthropic:never-heard-of")
    assert (saving.baseline_nano_usd, saving.saved_nano_usd, saving.share) == (None, None, None)
    assert "one call of anthropic:never-heard-of each: unknown, add its price" in str(saving)


def test_runs_are_found_by_their_ids(desk: Desk) -> None:
    desk.at = time.time_ns() // 1000 + 10_000  # no row is older than the id of its run
    runs = [desk.run("answer", ("answer", 900, 350)) for _ in range(3)]
    prices = TokenPrices({OPUS: ("4", "20")})
    comparison = Comparison(prices, ModelRef.parse(OPUS), BASELINES)
    saving = comparison.of_runs(desk.path, [*runs[:2], runs[0], new_id()])
    assert (saving.answered, saving.left_out) == (2, 1)
    assert saving.baseline_nano_usd == 2 * on_opus(900, 350)


def test_costs_end_with_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(wiring.PROVIDERS, "anthropic", SimpleNamespace(PRICES="anthropic"))
    costs = Costs(tmp_path / "ledger.sqlite3", monkeypatch, capsys)
    Desk(costs.path).run("answer", ("answer", 900, 350))
    assert "one call of" not in costs()[1]
    with (tmp_path / "fleet.toml").open("a") as fleet:
        fleet.write(f'[baseline]\nmodel = "{OPUS}"\n')
    line = f"cost $0.000265; one call of {OPUS} each $0.0106; saved $0.0103 (97.5 %)."
    assert line in costs()[1]
    monkeypatch.setattr(saving_module, "MOST_ROWS", 0)
    assert "Since 20" in costs("--days", "90")[1]


def test_without_an_expensive_chain_nothing_is_compared_until_a_model_is_named() -> None:
    chains = {"balanced": {"models": ["anthropic:claude-sonnet-5-5"]}}
    assert baseline_model(Fleet.model_validate({"chains": chains})) is None
    named = {"chains": chains, "baseline": {"model": OPUS}}
    assert str(baseline_model(Fleet.model_validate(named))) == OPUS
    dear = {"chains": {**chains, "expensive": {"models": [OPUS]}}}
    assert str(baseline_model(Fleet.model_validate(dear))) == OPUS
