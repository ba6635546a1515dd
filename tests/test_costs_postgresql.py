"""Reports on a ledger in PostgreSQL are those on the same ledger in SQLite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ledger_package import importable, module
from tests.test_costs_report import write_varied
from tests.test_ledger_postgresql import location, pytestmark, server

__all__ = ["location", "pytestmark", "server"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("costs") / "w"
    extras = ["cost_reports", "ledger_postgresql"]
    with importable(folder, "both_desk", extras=extras) as name:
        yield name


@pytest.fixture(scope="module")
def store(package: str) -> Any:
    return module(package, "store")


def test_both_databases_answer_alike(
    package: str, store: Any, location: Any, tmp_path: Path
) -> None:
    queries, reports = module(package, "queries"), module(package, "report_text")
    scan = module(package, "scan")
    places = [write_varied(store, location), write_varied(store, tmp_path / "l.sqlite3")]
    for by in ((), ("task_type", "request_model"), ("week", "chain"), ("user_ref",), ("tag:team",)):
        sum_up = queries.sums if {*by} <= {*queries.GROUPS} else scan.sums
        first, second = (vars(reports.Report(place, by, 14, None, sum_up)) for place in places)
        assert first.pop("location") != second.pop("location")
        assert first == second and first["rows"], by
    first, second = (queries.mistakes(place, ["malformed"], 0) for place in places)
    assert first == second
