"""Findings on ledgers whose truth is known: what is there is found, and nothing else."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.costs_ledger import CHEAP, DEAR, OTHER, attempts, write
from tests.examples import examples
from tests.ledger_package import importable, module


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
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
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
