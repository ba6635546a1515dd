"""What the ledger adds up, and how the report says it."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ledger_rows import row, write

from desk.commands import costs_table
from desk.runtime.ledger import queries, report_text
from desk.runtime.ledger.attempt import DAY_US, DEMO


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger may be made."""
    return tmp_path / "data" / "ledger.sqlite3"


def report(path: Path, **values: Any) -> report_text.Report:
    """Report the last seven days by model."""
    return report_text.Report(path, ("request_model",), 7, **values)


def test_a_report_marks_what_its_sums_lack(path: Path) -> None:
    free = {"cost_nano_usd": None}
    write(
        path,
        [row(), row(outcome="failed", latency_ms=9000)],
        [row(request_model="own", cost_source="unpriced", **free)],
        [
            row(
                request_model="quiet",
                input_tokens=None,
                output_tokens=None,
                cost_source="none",
                **free,
            )
        ],
        [row(ts_us=(queries.today() + 9) * DAY_US)],
    )
    text = report_text.as_text(report(path))
    assert "Unpriced: 1, in no figure below: openai:own (1)" in text
    assert "Answered without usage: 1" in text and "≥$0.00039" in text
    assert "dated after today" in text and "(lacks 1 unpriced and 1 without usage)" in text
    assert queries.month_by_task(path)["answering"] == 390_000
    assert queries.this_month(path, DEMO) == []


def test_a_report_of_nothing_is_empty(path: Path) -> None:
    write(path)
    assert "Unpriced: none." in report_text.as_text(report(path, environment=DEMO))
    assert queries.total([]).p95_ms is None


def test_percentiles_come_from_buckets(path: Path) -> None:
    write(path, [row(latency_ms=ms) for ms in range(100, 1100, 10)])
    (total,) = queries.sums(path, (), queries.today())
    assert total.p50_ms == pytest.approx(600, rel=0.1)
    assert total.p95_ms == pytest.approx(1050, rel=0.2)


@pytest.mark.parametrize(
    ("outcomes", "alarm"),
    [
        (["ok", "failed"], ""),
        (["ok", "failed", "failed"], "MOST ATTEMPTS FAILED: 66.7 % of 3."),
        (["failed"], "ALL 1 ATTEMPTS FAILED."),
        (["skipped"], "NO MODEL WAS ASKED: all 1 attempts were skipped."),
    ],
)
def test_an_alarm_says_that_most_attempts_fail(path: Path, outcomes: list[str], alarm: str) -> None:
    write(path, [row(outcome=outcome) for outcome in outcomes])
    assert report_text.alarm(queries.total(queries.sums(path, (), 0))) == alarm


def test_mistakes_are_those_since_the_last_answer(path: Path) -> None:
    failed = {"outcome": "failed", "error_type": "authentication"}
    write(path, [row(ts_us=1), row(ts_us=2, **failed), row(ts_us=3, request_model="b", **failed)])
    write(path, [row(ts_us=4, request_model="b")])
    found = queries.mistakes(path, ["authentication"], 0)
    assert found == [("openai", "small", None, "authentication", 1)]
    assert queries.attempts_of(path, ["run"])[0][:4] == ("answer", "main", "small", "ok")


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (costs_table._days, "0"),  # pyright: ignore[reportPrivateUsage]
        (costs_table._since, "yesterday"),  # pyright: ignore[reportPrivateUsage]
        (costs_table._since, "9999-01-01"),  # pyright: ignore[reportPrivateUsage]
        (partial(costs_table._groups, names="task"), "nothing"),  # pyright: ignore[reportPrivateUsage]
    ],
)
def test_wrong_options_of_costs_are_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        read(text)
