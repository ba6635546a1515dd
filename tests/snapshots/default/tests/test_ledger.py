"""The ledger: rows that are committed once, and what becomes of them in an outage."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from ledger_rows import play, row, write

from desk.runtime.errors import LedgerError, LedgerUnavailable
from desk.runtime.ledger import queries, sqlite, writer
from desk.runtime.ledger.attempt import DAY_US, RowsRefused
from desk.runtime.ledger.location import attempts, connect
from desk.runtime.ledger.spill import spill_of
from desk.runtime.ledger.writer import Ledger


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


def test_counts_that_cannot_be_true_are_not_reported() -> None:
    wrong = row(input_tokens=-5, output_tokens=10**13)
    assert (wrong.input_tokens, wrong.output_tokens) == (None, None)
