"""Findings on ledgers whose truth is known: what is there is found, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from costs_ledger import CHEAP, DEAR, OTHER, Costs, TokenPrices, attempts, write

from desk.runtime.fleet import Fleet, ModelRef
from desk.runtime.ledger import findings, findings_failures
from desk.runtime.ledger.attempt import Attempt
from desk.runtime.ledger.findings import Finding, Question
from desk.runtime.ledger.prices import Prices

REFS = [f"anthropic:{DEAR}", f"openai:{CHEAP}", f"anthropic:{OTHER}"]
USD = dict(zip(REFS, [("5", "25"), ("0.1", "0.5"), ("1", "5")], strict=True))
"""Per million tokens of input and output; other models have no price."""


def find(path: Path, **values: Any) -> list[Finding]:
    """Return what is found in a ledger, for a chain of three models."""
    fleet = Fleet.model_validate({"chains": {"main": {"models": REFS}}})
    question = Question(path, fleet, TokenPrices(USD), **values)
    return findings.find(question, [findings.search, findings_failures.search])


def find_costly(path: Path, **values: Any) -> list[Finding]:
    """Return what costs too much; what does not work is `urgent`."""
    return [finding for finding in find(path, **values) if not finding.urgent]


def urgent(path: Path) -> list[Finding]:
    found = find(path)
    first = [finding for finding in found if finding.urgent]
    assert found[: len(first)] == first
    return first


def kinds(found: list[Finding]) -> list[str]:
    return [finding.kind for finding in found]


def dear(count: int, **values: Any) -> list[Attempt]:
    usual = {"input_tokens": 400, "output_tokens": 20, "cost_nano_usd": 2_500_000}
    return attempts(count, **{**usual, "model": DEAR, **values})


def cheap(count: int, **values: Any) -> list[Attempt]:
    usual = {"input_tokens": 300, "output_tokens": 20, "cost_nano_usd": 40_000}
    return attempts(count, **{**usual, "model": CHEAP, "chain": "other", **values})


def test_a_cheaper_model_that_does_as_well_is_evidence(tmp_path: Path) -> None:
    path = write(tmp_path / "l.sqlite3", dear(50), cheap(40))
    (found,) = find_costly(path)
    same_tokens = 50 * (400 * 100 + 20 * 500)
    assert (found.kind, found.basis) == ("cheaper_model", "evidence")
    assert found.nano_usd_per_month == 50 * 2_500_000 - same_tokens
    assert found.evidence["n"] == 50 and found.evidence["other_n"] == 40
    assert found.evidence["other_nano_usd"] == same_tokens
    assert CHEAP in found.text and "$0.125" in found.text


@pytest.mark.parametrize(
    ("n", "other_n", "other_failed", "is_evidence"),
    [
        (30, 30, 0, True),
        (29, 30, 0, False),
        (30, 29, 0, False),
        (100, 98, 2, True),
        (100, 97, 3, False),
    ],
)
def test_evidence_takes_thirty_verdicts_and_two_points(
    tmp_path: Path,
    n: int,
    other_n: int,
    other_failed: int,
    is_evidence: bool,
) -> None:
    failed = cheap(other_failed, outcome="rejected", error_type="malformed", days_ago=2)
    path = write(tmp_path / "l.sqlite3", dear(n), cheap(other_n), failed)
    assert ("cheaper_model" in kinds(find_costly(path))) is is_evidence


def test_a_model_without_a_list_price_counts_at_what_its_calls_cost(tmp_path: Path) -> None:
    own = attempts(40, model="own-server", cost_nano_usd=100_000, chain="other")
    path = write(tmp_path / "l.sqlite3", dear(50), own)
    (found,) = find_costly(path)
    assert found.kind == "cheaper_model"
    assert found.nano_usd_per_month == 50 * (2_500_000 - 100_000)


def test_a_judged_model_that_scores_less_is_not_as_good(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.sqlite3",
        dear(40, quality=0.9, quality_source="judge"),
        cheap(40, quality=0.8, quality_source="judge"),
    )
    assert "cheaper_model" not in kinds(find_costly(path))


def test_short_answers_of_a_dear_model_are_a_hypothesis(tmp_path: Path) -> None:
    path = write(tmp_path / "l.sqlite3", dear(12))
    (found,) = find_costly(path)
    assert (found.kind, found.basis) == ("try_cheaper", "hypothesis")
    assert found.evidence["other_nano_usd"] == 12 * (400 * 100 + 20 * 500)
    assert "FLEET_ENVIRONMENT=trial" in found.action


@pytest.mark.parametrize(
    "values",
    [
        {"output_tokens": 900},
        {"cost_nano_usd": None, "cost_source": "unpriced"},
        {"cost_nano_usd": 90_000},
        {"days_ago": 31},
    ],
    ids=["long answers", "unpriced", "cheap already", "too long ago"],
)
def test_nothing_is_guessed_where_it_would_be_wrong(tmp_path: Path, values: dict[str, Any]) -> None:
    path = write(tmp_path / "l.sqlite3", dear(20, **values))
    assert find_costly(path) == []


def test_a_model_is_not_cheaper_than_itself(tmp_path: Path) -> None:
    fallen = attempts(20, model=CHEAP, output_tokens=20, cost_nano_usd=400_000)
    assert find_costly(write(tmp_path / "l.sqlite3", fallen)) == []


def test_few_calls_are_not_a_finding(tmp_path: Path) -> None:
    assert find_costly(write(tmp_path / "l.sqlite3", dear(9))) == []


def test_recorded_rows_stay_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "l.sqlite3", dear(50, environment="demo"))
    assert find_costly(path) == []
    assert kinds(find_costly(path, environment="demo")) == ["try_cheaper"]


def failures(count: int, **values: Any) -> list[Attempt]:
    usual = {"outcome": "failed", "error_type": "authentication", "cost_nano_usd": None}
    return dear(count, **{**usual, "cost_source": "none", **values})


def test_the_first_line_shouts_when_all_fail(tmp_path: Path) -> None:
    found = urgent(write(tmp_path / "l.sqlite3", failures(8)))
    assert kinds(found)[0] == "all_fail" and found[0].urgent
    assert found[0].text.startswith("ALL 8 ATTEMPTS FAILED.")
    assert "doctor" in found[0].action


def test_the_first_line_shouts_when_no_model_was_asked(tmp_path: Path) -> None:
    skipped = failures(8, outcome="skipped", error_type="no_key")
    found = urgent(write(tmp_path / "l.sqlite3", skipped))
    assert found[0].text.startswith("NO MODEL WAS ASKED: all 8 attempts were skipped.")


def test_a_model_that_fails_often_stands_before_what_costs(tmp_path: Path) -> None:
    path = write(tmp_path / "l.sqlite3", dear(50), cheap(40), failures(20))
    found = urgent(path)
    assert kinds(found)[0] == "fails_often" and DEAR in found[0].text


def test_what_seldom_fails_is_not_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path / "l.sqlite3", cheap(100), failures(2))
    assert "fails_often" not in kinds(urgent(path))
    assert "all_fail" not in kinds(urgent(path))


def test_an_open_circuit_is_shown_until_the_model_answers(tmp_path: Path) -> None:
    skipped = failures(3, outcome="skipped", error_type="circuit_open", days_ago=0)
    path = write(tmp_path / "l.sqlite3", cheap(12), skipped)
    assert "circuit_open" in kinds(urgent(path))


def test_a_model_whose_cost_is_not_all_known_is_not_called_cheaper(tmp_path: Path) -> None:
    """Without a list price its calls' average counts, which lacks those without usage."""
    own = {"provider": "own", "model": "tuned", "cost_nano_usd": 10_000}
    bare = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    rows = [dear(40), cheap(40, **own)]
    path = write(tmp_path / "known.sqlite3", *rows)
    assert "cheaper_model" in kinds(find_costly(path))
    rows = [*rows, cheap(40, **{**own, **bare, "cost_source": "none"})]
    path = write(tmp_path / "unknown.sqlite3", *rows)
    assert "cheaper_model" not in kinds(find_costly(path))


def test_each_deployment_has_findings_of_its_own(tmp_path: Path) -> None:
    """One that answers does not hide another one of the same model that does not."""
    skipped = {"outcome": "skipped", "error_type": "circuit_open", "days_ago": 0}
    path = write(
        tmp_path / "l.sqlite3",
        dear(40, deployment="eu"),
        failures(30, deployment="us", **skipped),
        failures(20, deployment="us"),
        failures(20, deployment="asia"),
        failures(3, deployment="asia", **skipped),
        dear(40),
    )
    found = urgent(path)
    pairs = {(one.kind, one.evidence["model"]) for one in found}
    kinds_ = ("circuit_open", "fails_often")
    at = [f"anthropic:{DEAR}@{place}" for place in ("us", "asia")]
    assert pairs == {(kind, model) for kind in kinds_ for model in at}


def test_a_circuit_is_shown_in_its_own_environment(tmp_path: Path) -> None:
    skipped = failures(3, outcome="skipped", error_type="circuit_open", days_ago=0)
    path = write(tmp_path / "l.sqlite3", cheap(12, environment="demo"), skipped)
    for environment, is_shown in ((None, True), ("production", True), ("demo", False)):
        found = find(path, environment=environment)
        assert ("circuit_open" in kinds(found)) is is_shown, environment


def test_answers_without_usage_are_shown(tmp_path: Path) -> None:
    bare = dear(20, input_tokens=None, output_tokens=None, cost_nano_usd=None)
    path = write(tmp_path / "l.sqlite3", bare)
    assert "unmeasured" in kinds(urgent(path))


def test_rejected_answers_are_a_part_of_those_without_usage(tmp_path: Path) -> None:
    bare = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    poor = dear(30, outcome="rejected", **bare)
    path = write(tmp_path / "l.sqlite3", dear(10, **bare), poor)
    (found,) = [one for one in urgent(path) if one.kind == "unmeasured"]
    assert found.text.startswith("100.0 % of 40 answers")


def test_a_model_about_to_be_withdrawn_has_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaving(_: Prices, ref: ModelRef) -> str | None:
        return "gone in May; haiku took its place" if ref.model == DEAR else None

    monkeypatch.setattr(Prices, "leaving", leaving)
    path = write(tmp_path / "l.sqlite3", cheap(12))
    found = [one for one in urgent(path) if one.kind == "withdrawn"]
    assert len(found) == 1 and "haiku took its place" in found[0].text


def test_findings_stand_above_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = Costs(tmp_path / "ledger.sqlite3", monkeypatch, capsys)
    cheap_ones = [cheap(40, task_type=f"task{at}") for at in range(7)]
    dear_ones = [dear(50, task_type=f"task{at}", chain="hard") for at in range(7)]
    write(costs.path, *cheap_ones, *dear_ones)
    status, printed = costs()
    first, _, table = printed.partition("Unpriced: none.")
    assert status == 0 and first.startswith("1. $") and "task_type" in table
    assert first.count(" a month: ") == 5 and " more with --json" in first


@pytest.mark.parametrize(
    ("rows", "first"),
    [(1, "Nothing stands out."), (0, "No calls in these 7 days.")],
)
def test_without_a_finding_costs_say_so(
    rows: int,
    first: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    costs = Costs(tmp_path / "ledger.sqlite3", monkeypatch, capsys)
    write(costs.path, attempts(rows), attempts(3, days_ago=40))
    assert first in costs("--environment", "production")[1].partition("Unpriced")[0]
