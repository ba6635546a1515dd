"""Findings on ledgers whose truth is known: what is there is found, and nothing else."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.costs_ledger import CHEAP, DEAR, OTHER, attempts, write
from tests.ledger_package import importable, module

MICRO = 1000


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("costs") / "w"
    with importable(folder, "findings_desk", extras=["cost_reports", "prices"]) as name:
        yield name


@pytest.fixture(scope="module")
def store(package: str) -> Any:
    return module(package, "store")


@pytest.fixture(scope="module")
def findings(package: str) -> Any:
    return module(package, "findings")


REFS = [f"anthropic:{DEAR}", f"openai:{CHEAP}", f"anthropic:{OTHER}"]
USD = dict(zip(REFS, [("5", "25"), ("0.1", "0.5"), ("1", "5")], strict=True))
"""Per million tokens of input and output; other models have no price."""


def question(findings: Any, path: Path, *, budget_usd: object = 0, **given: Any) -> Any:
    """About a chain of three models."""
    package = findings.__name__.partition(".")[0]
    fleet = importlib.import_module(f"{package}.runtime.fleet").Fleet.model_validate(
        {"chains": {"main": {"models": REFS}}, "budgets": {"month_usd": budget_usd}}
    )
    own = {
        ref: {"input_usd": asked, "output_usd": answered} for ref, (asked, answered) in USD.items()
    }
    return findings.Question(
        path, fleet, module(package, "exact_prices").ExactPrices({}, own=own), **given
    )


def find(findings: Any, question: Any) -> list[Any]:
    package = findings.__name__.partition(".")[0]
    return findings.find(question, importlib.import_module(f"{package}.wiring").FINDINGS)


def find_costly(findings: Any, path: Path, **given: Any) -> list[Any]:
    """Find what costs too much; what does not work is `urgent`."""
    found = find(findings, question(findings, path, **given))
    return [finding for finding in found if not finding.urgent]


def urgent(findings: Any, path: Path) -> list[Any]:
    found = find(findings, question(findings, path))
    first = [finding for finding in found if finding.urgent]
    assert found[: len(first)] == first
    return first


def kinds(found: list[Any]) -> list[str]:
    return [finding.kind for finding in found]


def dear(store: Any, count: int, **given: Any) -> list[Any]:
    usual = {"input_tokens": 400, "output_tokens": 20, "cost_nano_usd": 2_500_000}
    return attempts(store, count, **{**usual, "model": DEAR, **given})


def cheap(store: Any, count: int, **given: Any) -> list[Any]:
    usual = {"input_tokens": 300, "output_tokens": 20, "cost_nano_usd": 40_000}
    return attempts(store, count, **{**usual, "model": CHEAP, "chain": "other", **given})


def test_a_cheaper_model_that_does_as_well_is_evidence(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    path = write(store, tmp_path / "l.sqlite3", dear(store, 50), cheap(store, 40))
    (found,) = find_costly(findings, path)
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
    store: Any,
    findings: Any,
    tmp_path: Path,
    n: int,
    other_n: int,
    other_failed: int,
    is_evidence: bool,
) -> None:
    failed = cheap(store, other_failed, outcome="rejected", error_type="malformed", days_ago=2)
    path = write(store, tmp_path / "l.sqlite3", dear(store, n), cheap(store, other_n), failed)
    assert ("cheaper_model" in kinds(find_costly(findings, path))) is is_evidence


def test_a_model_without_a_list_price_counts_at_what_its_calls_cost(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    own = attempts(store, 40, model="own-server", cost_nano_usd=100_000, chain="other")
    path = write(store, tmp_path / "l.sqlite3", dear(store, 50), own)
    (found,) = find_costly(findings, path)
    assert found.kind == "cheaper_model"
    assert found.nano_usd_per_month == 50 * (2_500_000 - 100_000)


def test_a_judged_model_that_scores_less_is_not_as_good(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    path = write(
        store,
        tmp_path / "l.sqlite3",
        dear(store, 40, quality=0.9, quality_source="judge"),
        cheap(store, 40, quality=0.8, quality_source="judge"),
    )
    assert "cheaper_model" not in kinds(find_costly(findings, path))


def test_short_answers_of_a_dear_model_are_a_hypothesis(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    path = write(store, tmp_path / "l.sqlite3", dear(store, 12))
    (found,) = find_costly(findings, path)
    assert (found.kind, found.basis) == ("try_cheaper", "hypothesis")
    assert found.evidence["other_nano_usd"] == 12 * (400 * 100 + 20 * 500)
    assert "FLEET_ENVIRONMENT=trial" in found.action


@pytest.mark.parametrize(
    "given",
    [
        {"output_tokens": 900},
        {"cost_nano_usd": None, "cost_source": "unpriced"},
        {"cost_nano_usd": 90_000},
        {"days_ago": 31},
    ],
    ids=["long answers", "unpriced", "cheap already", "too long ago"],
)
def test_no_hypothesis_where_it_would_be_wrong(
    store: Any, findings: Any, tmp_path: Path, given: dict[str, Any]
) -> None:
    path = write(store, tmp_path / "l.sqlite3", dear(store, 20, **given))
    assert find_costly(findings, path) == []


def test_a_model_is_no_cheaper_one_than_itself(store: Any, findings: Any, tmp_path: Path) -> None:
    fallen = attempts(store, 20, model=CHEAP, output_tokens=20, cost_nano_usd=400_000)
    assert find_costly(findings, write(store, tmp_path / "l.sqlite3", fallen)) == []


def test_few_calls_are_no_finding(store: Any, findings: Any, tmp_path: Path) -> None:
    assert find_costly(findings, write(store, tmp_path / "l.sqlite3", dear(store, 9))) == []


def test_recorded_rows_stay_apart(store: Any, findings: Any, tmp_path: Path) -> None:
    path = write(store, tmp_path / "l.sqlite3", dear(store, 50, environment="demo"))
    assert find_costly(findings, path, budget_usd=Decimal("0.0001")) == []
    assert kinds(find_costly(findings, path, environment="demo")) == ["try_cheaper"]


def fallen_back(
    store: Any, count: int, first_cost: int | None, outcome: str = "rejected"
) -> list[Any]:
    """Make calls whose first model was refused and whose second answered, long and dear."""
    rows: list[Any] = []
    long = {"task_type": "answering", "output_tokens": 900, "chain": "main"}
    firsts = attempts(
        store,
        count,
        model=CHEAP,
        outcome=outcome,
        error_type="empty",
        cost_nano_usd=first_cost,
        cost_source="list" if first_cost else "none",
        **long,
    )
    for first in firsts:
        second = attempts(store, 1, model=DEAR, cost_nano_usd=1_000_000, attempt=2, **long)[0]
        second.call_id = first.call_id
        rows += [first, second]
    return rows


def test_escalations_that_cost_more_than_they_save(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    fine = attempts(
        store, 10, model=CHEAP, cost_nano_usd=800_000, task_type="answering", output_tokens=900
    )
    path = write(store, tmp_path / "l.sqlite3", fallen_back(store, 40, 800_000), fine)
    (found,) = find_costly(findings, path)
    assert found.kind == "escalation_costs_more"
    spent = 40 * 1_800_000 + 10 * 800_000
    assert found.nano_usd_per_month == spent - 50 * 1_000_000
    assert found.action.startswith(f"Put anthropic:{DEAR} before openai:{CHEAP}")


def test_a_fallback_that_pays_is_not_a_finding(store: Any, findings: Any, tmp_path: Path) -> None:
    fine = attempts(
        store, 300, model=CHEAP, cost_nano_usd=10_000, task_type="answering", output_tokens=900
    )
    path = write(store, tmp_path / "l.sqlite3", fallen_back(store, 40, 10_000), fine)
    assert find_costly(findings, path) == []


def test_a_chain_whose_second_model_answers_most(store: Any, findings: Any, tmp_path: Path) -> None:
    path = write(store, tmp_path / "l.sqlite3", fallen_back(store, 40, None, "failed"))
    (found,) = find_costly(findings, path)
    assert found.kind == "second_answers_most"
    assert found.evidence["answered_later"] == 40 and found.evidence["failures"] == 40


@pytest.mark.parametrize(("rewritten", "expected"), [(40, ["drafts_rewritten"]), (30, [])])
def test_drafts_that_are_rewritten_too_often(
    store: Any, findings: Any, tmp_path: Path, rewritten: int, expected: list[str]
) -> None:
    long = {"output_tokens": 900, "model": OTHER}
    path = write(
        store,
        tmp_path / "l.sqlite3",
        attempts(store, 100, task_type="drafting", cost_nano_usd=500 * MICRO, **long),
        attempts(store, rewritten, task_type="rewriting", cost_nano_usd=900 * MICRO, **long),
    )
    found = find_costly(findings, path)
    assert kinds(found) == expected
    if found:
        assert found[0].nano_usd_per_month == 40 * 500 * MICRO


def weekly(store: Any, *costs: int, calls: int = 35) -> list[Any]:
    """Weeks of whole days, the last one ending yesterday; nano-dollars per call."""
    rows: list[Any] = []
    for ago, cost in enumerate(reversed(costs)):
        for day in range(1, 8):
            rows += attempts(
                store, calls // 7, days_ago=7 * ago + day, cost_nano_usd=cost, output_tokens=900
            )
    return rows


@pytest.mark.parametrize(
    ("costs", "calls", "expected"),
    [
        ((100, 100, 100, 100, 200), 35, ["spike"]),
        ((100, 100, 100, 180, 200), 35, []),
        ((100, 100, 100, 200), 35, []),
        ((100, 100, 100, 100, 200), 28, []),
        ((100, 100, 100, 100, 140), 35, []),
    ],
    ids=["twice the usual", "as dear before", "four weeks only", "few calls", "not by half"],
)
def test_spikes_against_the_four_weeks_before(
    store: Any,
    findings: Any,
    tmp_path: Path,
    costs: tuple[int, ...],
    calls: int,
    expected: list[str],
) -> None:
    rows = weekly(store, *(cost * MICRO * 10 for cost in costs), calls=calls)
    found = find_costly(findings, write(store, tmp_path / "l.sqlite3", rows))
    assert kinds(found) == expected
    if found:
        assert found[0].nano_usd_per_month == round(35 * 100 * MICRO * 10 * 30 / 7)


def test_today_alone_is_no_spike(store: Any, findings: Any, tmp_path: Path) -> None:
    rows = weekly(store, *[10 * MICRO] * 5)
    burst = attempts(store, 500, days_ago=0, cost_nano_usd=10 * MICRO, output_tokens=900)
    assert find_costly(findings, write(store, tmp_path / "l.sqlite3", rows, burst)) == []


def test_a_month_over_its_budget(store: Any, findings: Any, tmp_path: Path) -> None:
    rows = attempts(store, 40, days_ago=0, cost_nano_usd=10**8, output_tokens=900)
    path = write(store, tmp_path / "l.sqlite3", rows)
    (found,) = find_costly(findings, path, budget_usd=Decimal("1.5"))
    assert found.kind == "over_budget"
    assert found.nano_usd_per_month == 4 * 10**9 - 15 * 10**8
    assert find_costly(findings, path, budget_usd=Decimal(5)) == []


@pytest.mark.parametrize(
    ("day", "hour", "days"),
    [((2026, 9, 30), 0, 8 + 1), ((2026, 9, 30), 12, 8 + 0.5), ((2026, 9, 20), 6, 8 + 10.75)],
)
def test_forecast_adds_the_pace_of_the_last_seven_days_from_this_moment_on(
    store: Any,
    findings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    day: tuple[int, int, int],
    hour: int,
    days: float,
) -> None:
    now = datetime(*day, hour, tzinfo=UTC).timestamp()
    monkeypatch.setattr("time.time", lambda: now)
    rows: list[Any] = []
    for ago in range(8):
        rows += attempts(store, 1, days_ago=ago, cost_nano_usd=7000)
    path = write(store, tmp_path / "l.sqlite3", rows)
    trends = module(findings.__name__.partition(".")[0], "findings_trends")
    assert trends.forecast_nano_usd(question(findings, path)) == 7000 * days


def test_a_young_ledger_has_no_forecast(store: Any, findings: Any, tmp_path: Path) -> None:
    path = write(store, tmp_path / "l.sqlite3", dear(store, 3, days_ago=2))
    trends = module(findings.__name__.partition(".")[0], "findings_trends")
    assert trends.forecast_nano_usd(question(findings, path)) is None


GROUP = st.fixed_dictionaries(
    {
        "model": st.sampled_from([DEAR, CHEAP, OTHER, "own"]),
        "task_type": st.sampled_from(["classification", "drafting", "rewriting"]),
        "chain": st.sampled_from(["cheap", "hard"]),
        "outcome": st.sampled_from(["ok", "ok", "failed", "rejected", "skipped", "aborted"]),
        "days_ago": st.integers(0, 40),
        "cost_nano_usd": st.one_of(st.none(), st.integers(0, 10**8)),
        "output_tokens": st.one_of(st.none(), st.integers(0, 2000)),
        "input_tokens": st.one_of(st.none(), st.integers(0, 20_000)),
        "attempt": st.sampled_from([1, 1, 2]),
    }
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(groups=st.lists(st.tuples(GROUP, st.integers(1, 60)), max_size=8))
def test_no_ledger_yields_a_saving_larger_than_its_spend(
    store: Any, findings: Any, tmp_path: Path, groups: list[Any]
) -> None:
    path = tmp_path / f"{store.new_id()}.sqlite3"
    rows: list[list[Any]] = []
    for shape, count in groups:
        source = "unpriced" if shape["cost_nano_usd"] is None else "list"
        rows.append(attempts(store, count, cost_source=source, **shape))
    write(store, path, *rows)
    spent = sum(row.cost_nano_usd or 0 for group in rows for row in group)
    found = find_costly(findings, path)
    ranked = [finding.nano_usd_per_month for finding in found]
    assert ranked == sorted(ranked, reverse=True)
    for finding in found:
        assert finding.nano_usd_per_month >= 0
        if finding.kind != "spike":
            assert finding.nano_usd_per_month <= spent
        if finding.basis == "evidence" and finding.kind == "cheaper_model":
            assert min(finding.evidence["n"], finding.evidence["other_n"]) >= 30


def failures(store: Any, count: int, **given: Any) -> list[Any]:
    usual = {"outcome": "failed", "error_type": "authentication", "cost_nano_usd": None}
    return dear(store, count, **{**usual, "cost_source": "none", **given})


def test_the_first_line_shouts_when_all_fail(store: Any, findings: Any, tmp_path: Path) -> None:
    found = urgent(findings, write(store, tmp_path / "l.sqlite3", failures(store, 8)))
    assert kinds(found)[0] == "all_fail" and found[0].urgent
    assert found[0].text.startswith("ALL 8 ATTEMPTS FAILED.")
    assert "doctor" in found[0].action


def test_the_first_line_shouts_when_no_model_was_asked(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    skipped = failures(store, 8, outcome="skipped", error_type="no_key")
    found = urgent(findings, write(store, tmp_path / "l.sqlite3", skipped))
    assert found[0].text.startswith("NO MODEL WAS ASKED: all 8 attempts were skipped.")


def test_a_model_that_fails_often_stands_before_what_costs(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    path = write(
        store, tmp_path / "l.sqlite3", dear(store, 50), cheap(store, 40), failures(store, 20)
    )
    found = urgent(findings, path)
    assert kinds(found)[0] == "fails_often" and DEAR in found[0].text


def test_what_seldom_fails_is_no_finding(store: Any, findings: Any, tmp_path: Path) -> None:
    path = write(store, tmp_path / "l.sqlite3", cheap(store, 100), failures(store, 2))
    assert "fails_often" not in kinds(urgent(findings, path))
    assert "all_fail" not in kinds(urgent(findings, path))


def test_an_open_circuit_is_told_until_the_model_answers(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    skipped = failures(store, 3, outcome="skipped", error_type="circuit_open", days_ago=0)
    path = write(store, tmp_path / "l.sqlite3", cheap(store, 12), skipped)
    assert "circuit_open" in kinds(urgent(findings, path))


def test_a_model_whose_cost_is_not_all_known_is_not_called_cheaper(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    """Without a list price its calls' average counts, which lacks those without usage."""
    own = {"provider": "own", "model": "tuned", "cost_nano_usd": 10 * MICRO}
    bare = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    rows = [dear(store, 40), cheap(store, 40, **own)]
    path = write(store, tmp_path / "known.sqlite3", *rows)
    assert "cheaper_model" in kinds(find_costly(findings, path))
    rows = [*rows, cheap(store, 40, **{**own, **bare, "cost_source": "none"})]
    path = write(store, tmp_path / "unknown.sqlite3", *rows)
    assert "cheaper_model" not in kinds(find_costly(findings, path))


def test_each_deployment_has_findings_of_its_own(store: Any, findings: Any, tmp_path: Path) -> None:
    """One that answers does not hide another one of the same model that does not."""
    skipped = {"outcome": "skipped", "error_type": "circuit_open", "days_ago": 0}
    path = write(
        store,
        tmp_path / "l.sqlite3",
        dear(store, 40, deployment="eu"),
        failures(store, 30, deployment="us", **skipped),
        failures(store, 20, deployment="us"),
        failures(store, 20, deployment="asia"),
        failures(store, 3, deployment="asia", **skipped),
        dear(store, 40),
    )
    found = urgent(findings, path)
    pairs = {(one.kind, one.evidence["model"]) for one in found}
    kinds_ = ("circuit_open", "fails_often")
    at = [f"anthropic:{DEAR}@{place}" for place in ("us", "asia")]
    assert pairs == {(kind, model) for kind in kinds_ for model in at}


def test_a_circuit_is_told_in_its_own_environment(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    skipped = failures(store, 3, outcome="skipped", error_type="circuit_open", days_ago=0)
    path = write(store, tmp_path / "l.sqlite3", cheap(store, 12, environment="demo"), skipped)
    for environment, is_shown in ((None, True), ("production", True), ("demo", False)):
        found = find(findings, question(findings, path, environment=environment))
        assert ("circuit_open" in kinds(found)) is is_shown, environment


def test_answers_without_usage_are_told(store: Any, findings: Any, tmp_path: Path) -> None:
    bare = dear(store, 20, input_tokens=None, output_tokens=None, cost_nano_usd=None)
    path = write(store, tmp_path / "l.sqlite3", bare)
    assert "unmeasured" in kinds(urgent(findings, path))


def test_rejected_answers_are_a_part_of_those_without_usage(
    store: Any, findings: Any, tmp_path: Path
) -> None:
    bare = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    poor = dear(store, 30, outcome="rejected", **bare)
    path = write(store, tmp_path / "l.sqlite3", dear(store, 10, **bare), poor)
    (found,) = [one for one in urgent(findings, path) if one.kind == "unmeasured"]
    assert found.text.startswith("100.0 % of 40 answers")


def test_a_model_about_to_be_withdrawn_is_told_with_its_successor(
    store: Any, findings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = findings.__name__.partition(".")[0]
    prices = module(package, "prices").Prices
    monkeypatch.setattr(
        prices,
        "leaving",
        lambda _, ref: "gone in May; haiku took its place" if ref.model == DEAR else None,
    )
    path = write(store, tmp_path / "l.sqlite3", cheap(store, 12))
    found = [one for one in urgent(findings, path) if one.kind == "withdrawn"]
    assert len(found) == 1 and "haiku took its place" in found[0].text
