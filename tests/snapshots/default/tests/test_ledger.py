"""The ledger: rows that are committed once, outages, sums and budgets."""

import asyncio
import contextlib
import sqlite3
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_rows import play, row, write

from desk.commands import costs_table
from desk.runtime.budgets import (
    Limit,
    Reservation,
    Reservations,
    Spending,
)
from desk.runtime.errors import (
    LedgerError,
    LedgerUnavailable,
)
from desk.runtime.fleet import Budgets, Fleet
from desk.runtime.ledger import (
    queries,
    report_text,
    sqlite,
    writer,
)
from desk.runtime.ledger.attempt import (
    DAY_US,
    DEMO,
    NANO,
    RowsRefused,
)
from desk.runtime.ledger.location import (
    attempts,
    connect,
    database_path,
    select,
)
from desk.runtime.ledger.sqlite import SqliteDatabase
from desk.runtime.ledger.writer import Ledger, spill_of
from desk.runtime.request import Request
from desk.runtime.run import Run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger may be made."""
    return tmp_path / "data" / "ledger.sqlite3"


def test_a_row_that_is_written_twice_counts_once(path: Path) -> None:
    first = row(quality=0.5)
    write(path, [first], [first], [row()])
    assert len(attempts(path, "")) == 2
    (total,) = queries.sums(path, (), queries.today())
    assert (total.calls, total.attempts, total.ok) == (2, 2, 2)
    assert (total.cost_nano_usd, total.quality_milli) == (260_000, 500)


def test_a_row_that_was_examined_later_counts_as_it_ended(path: Path) -> None:
    async def use(ledger: Ledger) -> None:
        first = row(outcome="aborted")
        await ledger.write([first])
        first.outcome, first.error_type = "rejected", "empty"
        await ledger.write([], judged=[first])

    play(path, use)
    assert [(one.outcome, one.error_type) for one in attempts(path, "")] == [("rejected", "empty")]
    (total,) = queries.sums(path, (), queries.today())
    assert (total.rejected, total.aborted, total.wasted_nano_usd) == (1, 0, 130_000)


def test_a_wrong_row_is_refused_alone(path: Path) -> None:
    rows = [row(), row(latency_ms=2**70), row()]

    async def use(ledger: Ledger) -> list[Any]:
        writes = [ledger.write([one]) for one in rows]
        return await asyncio.gather(*writes, return_exceptions=True)

    results = play(path, use)
    assert [isinstance(one, RowsRefused) for one in results] == [False, True, False]
    assert len(attempts(path, "")) == 2


def test_while_rows_cannot_be_written_no_call_is_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_S", 0.05)
    monkeypatch.setattr(writer, "RETRY_S", 0.02)
    write(path, [row()])

    async def use(ledger: Ledger) -> None:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            await ledger.write([row()])
            await ledger.write([row(latency_ms=2**70)])
            with pytest.raises(LedgerUnavailable, match="another process holds it"):
                await ledger.ready()
            other.execute("ROLLBACK")
        await ledger.ready()

    play(path, use)
    assert len(attempts(path, "")) == 2
    assert "1 of them are in memory" in caplog.text and "it is lost" in caplog.text
    assert "are on disk now" in caplog.text


@pytest.mark.parametrize("room", [True, False])
def test_rows_that_are_never_written_are_set_aside_or_in_the_log(
    room: bool, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_S", 0.02)
    if not room:
        path.with_suffix(".spill.sqlite3").mkdir(parents=True)
    with contextlib.closing(connect(path)), contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        write(path, [row(call_id="the one")])
        other.execute("ROLLBACK")
    assert ("not in the ledger" in caplog.text and "the one" in caplog.text) is not room
    if room:
        write(path, [row(call_id="the next")])
        assert {found.call_id for found in attempts(path, "")} == {"the one", "the next"}


def test_a_wrong_row_takes_no_other_one_into_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_S", 0.02)
    with contextlib.closing(connect(path)), contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        write(path, [row(call_id="good")], [row(call_id="wrong", latency_ms=2**70)])
        other.execute("ROLLBACK")
    assert [found.call_id for found in attempts(spill_of(path), "")] == ["good"]
    assert 'not in the ledger: {"ts_us"' in caplog.text and '"wrong"' in caplog.text
    assert "1 attempts wait beside the ledger" in caplog.text


def test_an_attempt_and_its_verdict_are_one_that_is_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_S", 0.02)

    async def use(ledger: Ledger) -> None:
        await ledger.write([row(call_id="one", outcome="aborted")])
        await ledger.write([], judged=[row(call_id="one", outcome="rejected")])
        with pytest.raises(LedgerUnavailable, match=r", 1 of them are in memory"):
            await ledger.ready()

    with contextlib.closing(connect(path)), contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        play(path, use)
        other.execute("ROLLBACK")
    assert "1 attempts wait beside the ledger" in caplog.text
    write(path)
    assert [found.outcome for found in attempts(path, "")] == ["rejected"]


def test_a_closed_ledger_and_one_of_another_process_say_so(path: Path) -> None:
    async def run() -> None:
        ledger = Ledger(path)
        ledger.close()
        with pytest.raises(LedgerError, match="is closed"):
            await ledger.write([row()])
        ledger._pid -= 1  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(LedgerError, match="one in each process"):
            await ledger.ready()
        ledger.close()

    asyncio.run(run())


def test_files_that_vanish_are_made_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(SqliteDatabase(path)) as database:
        database.write([row()])
        for file in path.parent.iterdir():
            file.unlink()
        database.write([row(call_id="new")])
    assert [one.call_id for one in attempts(path, "")] == ["new"]
    assert "1 attempts of this process" in caplog.text


def test_an_emptied_file_is_made_again(path: Path) -> None:
    with contextlib.closing(SqliteDatabase(path)) as database:
        database.write([row()])
        path.write_bytes(b"")
        database.write([row(call_id="new")])
    assert [one.call_id for one in attempts(path, "")] == ["new"]


def test_old_rows_are_removed_and_their_sums_stay(path: Path) -> None:
    now = time.time_ns() // 1000
    write(path, [row(ts_us=now - 500 * DAY_US), row(ts_us=now)])

    async def wait(_ledger: Ledger) -> None:
        for _ in range(200):
            if len(attempts(path, "")) == 1:
                return
            await asyncio.sleep(0.01)

    play(path, wait, retention_days=400)
    assert len(attempts(path, "")) == 1
    assert queries.total(queries.sums(path, (), 0)).calls == 2


def test_rows_of_earlier_releases_are_brought_in(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(connect(spill_of(path))) as beside:
        beside.write([row(), row()])
    write(path)
    assert len(attempts(path, "")) == 2 and attempts(spill_of(path), "") == []
    path.with_name("ledger.spill.jsonl").write_text("{}")
    write(path)
    assert "`ledger import" in caplog.text


def test_an_older_schema_is_migrated_and_a_newer_one_is_refused(path: Path) -> None:
    write(path, [row()])
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript("DROP TABLE rollup; PRAGMA user_version = 1")
    assert select(path, "SELECT SUM(calls) FROM rollup") == [(1,)]
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="newer workspace"):
        connect(path)


def test_what_is_not_a_ledger_says_what_to_do(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LedgerError, match="run `demo` or `ask` first"):
        select(path, "SELECT 1")
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="move the file away"):
        connect(path)
    with pytest.raises(LedgerError, match="cannot be opened"):
        connect(path / "ledger.sqlite3")
    monkeypatch.setenv("FLEET_LEDGER_URL", "unheard-of://somewhere")
    with pytest.raises(LedgerError, match="cannot be used here"):
        database_path(tmp_path)


class FakeServer:
    """A ledger at an address: it keeps rows in a file, and answers with what it is asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connect(self) -> SqliteDatabase:
        return SqliteDatabase(self._path)

    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [(query, values)]


def test_a_ledger_on_a_server_is_opened_by_its_scheme(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_LEDGER_URL", "fake://somewhere")
    server = database_path(tmp_path, {"fake": lambda _: FakeServer(path)})
    assert select(server, "SELECT ?", (1,)) == [("SELECT ?", (1,))]
    with contextlib.closing(connect(server)) as database:
        assert database.write([row()]) == 1


def test_counts_that_cannot_be_true_are_not_reported() -> None:
    wrong = row(input_tokens=-5, output_tokens=10**13)
    assert (wrong.input_tokens, wrong.output_tokens) == (None, None)


# Sums and the report.


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
        (costs_table._groups, "nothing"),  # pyright: ignore[reportPrivateUsage]
    ],
)
def test_wrong_options_of_costs_are_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        read(text)


# Budgets.


def run_of(cost_nano_usd: int = NANO // 2) -> Run:
    """Return a run that has cost so much."""
    spent = [row(cost_nano_usd=cost_nano_usd)]
    return Run(Request("?", max_cost_usd=Decimal(1)), Fleet(chains={}), {}, attempts=spent)


def test_the_limits_of_a_run_and_what_is_left_of_them() -> None:
    budgets = Budgets(month_usd=Decimal(10), run_usd=Decimal(2), task_usd={"answering": Decimal(3)})
    spending = Spending(budgets, dict)
    for environment in ("production", DEMO):
        spending.add(row(environment=environment, cost_nano_usd=NANO))
    left = {one.name: one.left_nano() / NANO for one in spending.limits(run_of(), "answering")}
    assert left == {"max_cost_usd": 0.5, "run_usd": 1.5, "month_usd": 9, "answering": 2}


def test_a_budget_that_is_used_up_is_named(caplog: pytest.LogCaptureFixture) -> None:
    read: dict[str, int] = {}
    budgets = Budgets(month_usd=Decimal(1), task_usd={"drafting": Decimal("0.1")})
    spending = Spending(budgets, lambda: dict(read), every_s=0)

    async def find_reached() -> list[str | None]:
        return [await spending.find_reached(run_of(), task) for task in ("drafting", "answering")]

    assert asyncio.run(find_reached()) == [None, None]
    read["drafting"] = 100_000_000
    assert asyncio.run(find_reached()) == ["drafting", None]
    read["answering"] = 800_000_000
    assert asyncio.run(find_reached()) == ["drafting", None] and "80 %" in caplog.text
    of_runs = Spending(Budgets(run_usd=Decimal("0.1")), dict)
    assert asyncio.run(of_runs.find_reached(run_of(), "x")) == "run_usd"


def test_calls_that_wait_for_a_slow_ledger_do_not_read_it_again() -> None:
    reads: list[None] = []

    def read() -> dict[str, int]:
        reads.append(time.sleep(0.3))
        raise LedgerError("It does not answer")

    async def find_reached() -> None:
        spending = Spending(Budgets(month_usd=Decimal(1)), read, every_s=0.3)
        await asyncio.gather(*(spending.find_reached(run_of(), "x") for _ in range(5)))

    asyncio.run(find_reached())
    assert len(reads) == 1


def test_calls_that_are_made_at_once_keep_to_a_limit() -> None:
    async def run() -> list[object]:
        reservations = Reservations()
        limits = [Limit("cap", "one", Decimal(100) / NANO, lambda: 0)]

        async def attempt(nano: int, is_most: bool) -> object:
            held = await reservations.take(limits, "m", nano, is_most=is_most, wait_s=0.5)
            if isinstance(held, Reservation):
                await asyncio.sleep(0.01)
                reservations.release(held, 60)
            return type(held)

        attempts = (attempt(80, True), attempt(30, False), attempt(500, True))
        return list(await asyncio.gather(*attempts))

    assert asyncio.run(run()) == [Reservation, Reservation, Limit]
