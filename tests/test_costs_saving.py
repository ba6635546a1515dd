"""What the fleet cost beside one call of one model per request, from rows whose sums are known."""

import importlib
import json
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.ledger_package import importable, module, row

NOW = time.time_ns() // 1000
OPUS = "anthropic:claude-opus-5-5"
# Nano-dollars a token, in and out.
PRICES = {"claude-haiku-5-5": (100, 500), "claude-opus-5-5": (4_000, 20_000)}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    patterns = ["router", "extractor_reasoner", "draft_polish"]
    folder = tmp_path_factory.mktemp("saving") / "w"
    answers: dict[str, Any] = {"patterns": patterns, "extras": ["cost_reports"]}
    with importable(folder, "saving_desk", **answers) as name:
        yield name


class Desk:
    """A ledger to write runs to, and what they saved."""

    def __init__(self, package: str, path: Path) -> None:
        self.package, self.path = package, path
        self.store, self.saving = module(package, "store"), module(package, "saving")
        self.root = Path(importlib.import_module(f"{package}.cli").__file__ or "").parents[2]
        self.at = NOW

    def run(self, pipeline: str | None, *calls: tuple[str, int, int], **more: Any) -> str:
        """One request: its calls on haiku, in order, as (stage, tokens in, tokens out)."""
        run_id: str = self.store.new_id()
        rows: list[Any] = []
        for stage, read, written in calls:
            rows += [self.attempt(run_id, pipeline, stage, read, written, **more)]
        self.write(rows)
        return run_id

    def attempt(
        self, run_id: str, pipeline: str | None, stage: str, read: int, written: int, **more: Any
    ) -> Any:
        self.at += 1
        model = more.pop("request_model", "claude-haiku-5-5")
        per_in, per_out = PRICES[model]
        return row(
            self.store,
            **{
                "ts_us": self.at,
                "run_id": run_id,
                "pipeline": pipeline,
                "stage": stage,
                "provider": "anthropic",
                "request_model": model,
                "input_tokens": read,
                "output_tokens": written,
                "cost_nano_usd": read * per_in + written * per_out,
                **more,
            },
        )

    def write(self, rows: Sequence[Any]) -> None:
        database = self.store.connect(self.path)
        database.write(rows)
        database.close()

    def compare(self, environment: str | None = None) -> Any:
        names = ("runtime.ledger.baseline", "runtime.fleet", "configuration", "wiring")
        baseline, fleet, configuration, wiring = (
            importlib.import_module(f"{self.package}.{name}") for name in names
        )
        settings = fleet.load(self.root / "fleet.toml")
        prices = configuration.load_prices(self.root, settings)
        comparison = baseline.compare(settings, prices, wiring.BASELINES)
        day = NOW // self.store.DAY_US
        return comparison.over(self.path, day - 7, environment=environment)

    def repeat_tokens(self, pipeline: str) -> int:
        wiring = importlib.import_module(f"{self.package}.wiring")
        return wiring.BASELINES[pipeline].repeated_tokens()


@pytest.fixture
def desk(package: str, tmp_path: Path) -> Desk:
    return Desk(package, tmp_path / "ledger.sqlite3")


def on_opus(read: int, written: int) -> int:
    return read * 4_000 + written * 20_000


def test_a_document_is_read_once_and_what_each_piece_repeats_as_well(desk: Desk) -> None:
    parts = [("extract", 3000, 400), ("extract", 2500, 300), ("extract", 1200, 0)]
    desk.run("extractor_reasoner", *parts, ("reason", 900, 200))
    repeated = desk.repeat_tokens("extractor_reasoner")
    assert 0 < repeated < 1200
    read = 3000 + 2500 + 1200 - 2 * repeated
    assert desk.compare().baseline_nano_usd == on_opus(read, 200)


CALLS = st.tuples(st.integers(0, 50_000), st.integers(0, 5_000))


@settings(
    deadline=None,
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.sampled_from(["answer", "draft_polish"]), st.lists(CALLS, min_size=1)))
)
def test_sums_are_exact_for_any_requests(
    desk: Desk, runs: list[tuple[str, list[tuple[int, int]]]]
) -> None:
    desk.path.unlink(missing_ok=True)
    cost = baseline = Decimal(0)
    desk.write([])
    for pipeline, calls in runs:
        names = {"answer": ["answer"], "draft_polish": ["draft", "score", "polish"]}[pipeline]
        stages = [names[min(at, len(names) - 1)] for at in range(len(calls))]
        desk.run(pipeline, *((s, *call) for s, call in zip(stages, calls, strict=True)))
        cost += sum(Decimal(100 * read + 500 * written) for read, written in calls)
        delivered = 0 if pipeline == "draft_polish" and len(calls) <= 2 else -1
        read = calls[0][0] if pipeline == "draft_polish" else calls[-1][0]
        baseline += Decimal(4_000 * read + 20_000 * calls[delivered][1])
    saving = desk.compare()
    assert (saving.cost_nano_usd, saving.baseline_nano_usd) == (cost, baseline)
    assert saving.answered == len(runs)


def test_text_json_and_page_say_the_same(
    desk: Desk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk.run("answer", ("answer", 900, 350))
    monkeypatch.setenv("FLEET_ROOT", str(desk.root))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{desk.path}")
    cli = importlib.import_module(f"{desk.package}.cli")

    def costs(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["desk", "costs", *words])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    line = f"cost $0.000265; one call of {OPUS} each $0.0106; saved $0.0103 (97.5 %)."
    assert line in costs()
    found = json.loads(costs("--json"))["saving"]
    assert found["saved_nano_usd"] == on_opus(900, 350) - 265_000
    assert (found["model"], found["answered"]) == (OPUS, 1)
    costs("--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text("utf-8")
    assert line in page
    assert f'<dt>Saved</dt><dd><data value="{found["saved_nano_usd"]}">$0.0103</data>' in page
