"""`costs`: sums of two periods, what is unknown beside them, and bad input."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from costs_ledger import CHEAP, DEAR, Costs, attempts, today, write

from desk import wiring
from desk.commands import COMMANDS, costs_table
from desk.runtime.ledger import queries
from desk.runtime.ledger.attempt import DEMO, Attempt
from desk.runtime.ledger.report_text import Report, dollars

BY_MODEL = ("task_type", "request_model")


@pytest.fixture
def costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Costs:
    return Costs(tmp_path / "ledger.sqlite3", monkeypatch, capsys)


@pytest.fixture
def path(costs: Costs) -> Path:
    return costs.path


def two_weeks(path: Path) -> Path:
    return write(
        path,
        attempts(10, days_ago=0, cost_nano_usd=3_000_000, latency_ms=100),
        attempts(5, days_ago=6, cost_nano_usd=3_000_000, latency_ms=200),
        attempts(5, days_ago=6, outcome="rejected", cost_nano_usd=1_000_000),
        attempts(4, days_ago=7, cost_nano_usd=2_000_000),
        attempts(3, days_ago=13, model=CHEAP, cost_nano_usd=42),
        attempts(9, days_ago=14, cost_nano_usd=9_000_000),
        attempts(2, model="own", cost_nano_usd=None, cost_source="unpriced"),
        attempts(7, environment=DEMO, cost_nano_usd=5_000_000),
        attempts(6, outcome="skipped", cost_nano_usd=None, cost_source="none"),
    )


def without_usage(count: int, **values: Any) -> list[Attempt]:
    """Return answers whose provider did not say what they used."""
    nothing = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    return attempts(count, **{**nothing, "cost_source": "none", **values})


def test_this_week_against_last(path: Path) -> None:
    report = Report(two_weeks(path), BY_MODEL, 7)
    dear = next(row for row in report.rows if row.key[1] == DEAR)
    assert (dear.attempts, dear.ok, dear.rejected, dear.skipped) == (20, 15, 5, 6)
    assert dear.cost_nano_usd == 15 * 3_000_000 + 5 * 1_000_000
    assert dear.wasted_nano_usd == 5_000_000
    assert dear.nano_usd_per_success == round(50_000_000 / 15)
    assert dear.failure_rate == 0.25
    assert report.before[dear.key].cost_nano_usd == 4 * 2_000_000
    assert report.unpriced == {"own:own": 2}
    assert sum(row.cost_nano_usd for row in report.before.values()) == 8_000_126


def test_what_is_unpriced_stands_before_the_sums(costs: Costs) -> None:
    two_weeks(costs.path)
    _, printed = costs()
    top, _, table = printed.partition("task_type")
    assert "Unpriced: 2, in no figure below: own:own (2)." in top
    assert "≥$0.05, 22 calls" not in top  # skipped calls began too
    assert "≥$0.05" in top
    own = next(line for line in table.splitlines() if " own " in line)
    assert "unpriced" in own and "$0" not in own


def test_every_sum_says_how_many_calls_lack_usage(costs: Costs) -> None:
    answered = attempts(1, days_ago=0, cost_nano_usd=65_000)
    write(costs.path, without_usage(9, days_ago=0), answered)
    _, printed = costs()
    assert f"Answered without usage: 9, in no figure below: anthropic:{DEAR} (9)." in printed
    assert "≥$0.000065 (lacks 9 without usage), 10 calls" in printed
    assert "≈$0.000065" in printed and "$0.0000065" not in printed  # one measured call cost that
    assert "This month: ≥$0.000065 (lacks 9 without usage)" in printed


def test_what_is_all_unmeasured_is_not_free(costs: Costs) -> None:
    write(costs.path, without_usage(3), attempts(2, days_ago=8))
    top, _, table = costs()[1].partition("task_type")
    assert "unmeasured (lacks 3 without usage), 3 calls" in top
    assert "unmeasured" in table and "$0.00 " not in table


def test_tokens_that_were_not_reported_do_not_cost_nothing(costs: Costs) -> None:
    cut = dict.fromkeys(("input_tokens", "output_tokens", "cost_nano_usd"))
    write(costs.path, attempts(4, cost_source="none", outcome="failed", **cut))
    assert "$0.00" not in costs()[1].partition("This month")[0]


def test_without_a_success_nothing_is_known_of_its_cost(costs: Costs) -> None:
    rejected = attempts(3, outcome="rejected", cost_nano_usd=1_000_000)
    unpriced = {"cost_nano_usd": None, "cost_source": "unpriced"}
    write(costs.path, rejected, attempts(2, outcome="rejected", **unpriced))
    printed = costs()[1]
    assert "≥$0.003" in printed and "≥-" not in printed


def test_small_amounts_keep_their_digits(costs: Costs) -> None:
    write(costs.path, attempts(1, cost_nano_usd=42_000))
    assert "$0.000042" in costs()[1]


@pytest.mark.parametrize("nano", [1, 9, 42_000, 10**9, 12_345_678_901, 10**15])
def test_an_amount_is_never_shown_as_nothing(nano: int) -> None:
    value = float(dollars(nano).removeprefix("$").replace(",", ""))
    assert value > 0
    assert abs(value - nano / 1e9) <= max(0.005 * nano / 1e9, 0.005 if nano >= 10**9 else 0)


@pytest.mark.parametrize(
    ("days", "environment", "expected"),
    [(7, None, 20), (1, None, 10), (14, None, 24), (182, None, 33), (7, DEMO, 7)],
)
def test_periods_and_environments(
    path: Path, days: int, environment: str | None, expected: int
) -> None:
    rows = Report(two_weeks(path), BY_MODEL, days, environment).rows
    assert [row.attempts for row in rows if row.key[1] == DEAR] == [expected]


def test_weeks_and_dates_are_other_words_for_days(costs: Costs) -> None:
    two_weeks(costs.path)
    since = str(queries.day_of(today() - 13))
    fortnight = costs("--days", "14")
    assert fortnight[0] == 0 and f"{since} to " in fortnight[1]
    assert costs("--weeks", "2") == costs("--since", since) == fortnight


def test_weeks_and_days_are_named_by_their_first_day(path: Path) -> None:
    weeks = Report(two_weeks(path), ("week",), 14)
    first = today() - 13
    assert {tuple(name): row.attempts for name, row, _ in weeks.groups()} == {
        (str(queries.day_of(first)),): 7,
        (str(queries.day_of(first + 7)),): 22,
    }
    days = Report(path, ("day",), 7)
    assert {row.key[0]: row.attempts for row in days.rows} == {
        today() - ago: n for ago, n in ((0, 10), (1, 2), (6, 10))
    }


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("--by", "nothing"), "is not one of"),
        (("--since", "yesterday"), "like 2026-01-31"),
        (("--since", "9999-01-01"), "yet to come"),
        (("--days", "0"), "from 1 to 36500"),
        (("--days", "14", "--weeks", "1"), "not allowed with"),
    ],
)
def test_wrong_words_are_usage(costs: Costs, words: tuple[str, ...], advice: str) -> None:
    status, printed = costs(*words)
    assert status == 2
    assert advice in printed


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("--json",), "cost_export"),
        (("--csv",), "cost_export"),
        (("--html", "page.html"), "cost_reports"),
    ],
)
def test_an_option_of_an_extra_names_it(
    costs: Costs, words: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "costs", costs_table)
    status, printed = costs(*words)
    assert status == 2
    assert f"error: {words[0]} is in an extra\n" in printed
    assert f"hint: run `scaffold add extra {extra}`\n" in printed


def test_the_help_lists_what_there_is(costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "costs", costs_table)
    monkeypatch.setattr(wiring, "ATTEMPT_SUMS", None)
    status, printed = costs("--help")
    assert status == 0
    assert "task_type" in printed
    for absent in ("tag:KEY", "--json", "--csv", "--html"):
        assert absent not in printed
    assert "`scaffold add extra cost_reports`" in str(costs("--by", "user")[0])


def test_the_alarm_says_why(costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "SAVING", None)
    monkeypatch.setitem(COMMANDS, "costs", costs_table)
    failed = {"outcome": "failed", "cost_nano_usd": None, "cost_source": "none"}
    write(
        costs.path,
        attempts(5, error_type="authentication", **failed),
        attempts(2, error_type="timeout", **failed),
        attempts(9, error_type="overloaded", days_ago=40, **failed),
        attempts(9, error_type="quota", environment=DEMO, **failed),
    )
    first = costs()[1].splitlines()[0]
    assert first == "ALL 7 ATTEMPTS FAILED. Why: authentication (5), timeout (2). Run `doctor`."


def test_escalations_are_a_share_of_the_tasks_calls(path: Path) -> None:
    asked = attempts(20)
    human: dict[str, Any] = {"model": "human", "provider": "human", "outcome": "escalated"}
    tickets = attempts(5, **human, attempt=2, cost_nano_usd=None, cost_source="none")
    rows = Report(write(path, asked, tickets), BY_MODEL, 7).rows
    assert next(row for row in rows if row.key[1] == "human").escalation_rate == 0.25


def test_demo_rows_stand_in_only_while_there_are_no_others(costs: Costs) -> None:
    write(costs.path, attempts(3, environment=DEMO))
    status, printed = costs()
    assert status == 0 and "the demo's recorded ones" in printed and DEAR in printed
    assert "This month: $0.00" in printed and "billed to nobody" in printed


def test_months_are_calendar_months(path: Path) -> None:
    day = queries.day_of(today()).day
    write(path, attempts(1, days_ago=0, cost_nano_usd=5), attempts(1, days_ago=day))
    assert queries.month_by_task(path) == {"classification": 5}
    assert queries.month_by_task(path, DEMO).total() == 0


def test_the_month_stands_beside_its_budget(costs: Costs) -> None:
    write(costs.path, attempts(4, days_ago=0, cost_nano_usd=10**9))
    assert "This month: $4.00, no budget set" in costs()[1]
    with (costs.path.parent / "fleet.toml").open("a") as fleet:
        fleet.write("[budgets]\nmonth_usd = 25\n")
    assert "This month: $4.00 of $25.00" in costs()[1]
    assert "of $25.00" not in costs("--environment", "production")[1]


def test_without_a_ledger_there_is_advice(costs: Costs) -> None:
    assert "run `demo` or `ask` first" in str(costs()[0])


def test_an_empty_file_is_a_ledger_without_calls(costs: Costs) -> None:
    costs.path.write_bytes(b"")
    status, printed = costs()
    assert status == 0 and "run `demo` or `ask` first" in printed


def test_another_file_is_not_read_as_a_ledger(costs: Costs) -> None:
    costs.path.write_bytes(b"not a database at all" * 100)
    status, printed = costs()
    assert status not in (0, None)
    assert "Traceback" not in printed
    assert [line.partition(":")[0] for line in str(status).splitlines()] == ["error", "hint"]


def test_a_corrupt_ledger_is_advice(costs: Costs) -> None:
    two_weeks(costs.path)
    with closing(sqlite3.connect(costs.path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(costs.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    costs.path.write_bytes(content)
    status, printed = costs()
    assert "cannot be read" in str(status) and "Traceback" not in printed


def test_a_read_only_ledger_is_read(costs: Costs) -> None:
    two_weeks(costs.path)
    with closing(sqlite3.connect(costs.path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    costs.path.chmod(0o444)
    assert costs()[0] == 0


def test_a_ledger_that_is_being_written_is_read(costs: Costs) -> None:
    two_weeks(costs.path)
    with closing(sqlite3.connect(costs.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert costs()[0] == 0


def test_rows_of_a_clock_that_ran_ahead_are_counted_and_named(costs: Costs) -> None:
    write(costs.path, attempts(4, days_ago=-3000), attempts(4, days_ago=20_000))
    status, printed = costs()
    assert status == 0
    assert "4 calls are dated after today" in printed


def test_an_environment_without_calls_names_those_that_have_some(costs: Costs) -> None:
    write(costs.path, attempts(3), attempts(2, days_ago=40, environment="staging"))
    status, printed = costs("--environment", "nope")
    assert status == (
        "error: No calls match: none was made in environment 'nope'\n"
        "hint: take --environment production or staging, or run `ask` first"
    )
    assert printed == ""
    status, printed = costs("--environment", "staging")
    assert status == 0 and "No calls match in these 7 days." in printed


def test_sums_of_an_extra_say_how_to_get_it(costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    write(costs.path, attempts(3))
    monkeypatch.setattr(wiring, "ATTEMPT_SUMS", None)
    status, _ = costs("--by", "user,tag:team")
    assert status.splitlines()[1] == "hint: run `scaffold add extra cost_reports`"


def test_where_all_fails_the_first_line_says_so(costs: Costs) -> None:
    write(costs.path, attempts(8, outcome="failed", cost_nano_usd=None, cost_source="none"))
    assert "ALL 8 ATTEMPTS FAILED." in costs()[1].partition("Unpriced")[0]
