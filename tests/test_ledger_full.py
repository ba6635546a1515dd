"""A ledger on a full or read-only disk: rows wait in memory, and nothing more is paid for."""

import asyncio
import contextlib
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.stores import folder, keys, path, read_rows, rollup, store

__all__ = ["desk", "folder", "loopback", "path", "store"]


class Broken:
    """Every connection to SQLite fails as a full or broken disk makes it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
        self.error: Exception | None = None
        self.tries = 0
        transaction = store.SqliteDatabase.transaction

        @contextlib.contextmanager
        def failing(database: Any) -> Iterator[Any]:
            with store.ledger_errors(database._path, "written"):
                if self.error:
                    self.tries += 1
                    raise self.error
                with transaction(database) as execute:
                    yield execute

        monkeypatch.setattr(store.SqliteDatabase, "transaction", failing)


def sqlite_error(code: int, text: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


FAULTS = {
    "full": (
        sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"),
        "make room on the disk",
    ),
    "io": (sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error"), "look at the disk"),
    "read-only": (
        sqlite_error(sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
        "make the file and its folder writable",
    ),
    "corrupt": (sqlite_error(sqlite3.SQLITE_CORRUPT, "malformed"), "move the file away"),
    "no space": (OSError(28, "No space left on device"), "make room on the disk"),
    "read-only system": (OSError(30, "Read-only file system"), "make the file and its folder"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_wait_in_memory_and_come_back_by_themselves(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    error, advice = FAULTS[fault]
    broken = Broken(monkeypatch, store)
    monkeypatch.setattr(store, "RETRY_S", 0.02)
    rows = [ledger_package.row(store) for _ in range(20)]

    async def play() -> None:
        ledger = store.Ledger(path)
        broken.error = error
        await asyncio.gather(*(ledger.write([row]) for row in rows))  # which are paid for
        with pytest.raises(store.LedgerUnavailable, match="20 of them") as refused:
            await ledger.ready()
        assert advice in str(refused.value)
        broken.error = None
        await until(lambda: not ledger._unwritten)  # nobody has to ask for it
        await ledger.ready()
        ledger.close()

    asyncio.run(play())
    assert len(keys(store, path)) == 20
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))


def test_a_wrong_row_among_those_in_memory_is_lost_alone(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken(monkeypatch, store)
    good = [ledger_package.row(store) for _ in range(4)]

    async def play() -> None:
        ledger = store.Ledger(path)
        broken.error = FAULTS["full"][0]
        wrong = ledger_package.row(store, latency_ms=2**70)
        for row in (*good[:2], wrong, *good[2:]):
            await ledger.write([row])
        broken.error = None
        await ledger.ready()
        ledger.close()

    asyncio.run(play())
    assert keys(store, path) == sorted((row.call_id, 1) for row in good)
    assert "it is lost" in caplog.text


def test_what_is_in_memory_at_the_end_is_in_the_log(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken(monkeypatch, store)

    async def play() -> None:
        ledger = store.Ledger(path)
        broken.error = FAULTS["full"][0]
        await ledger.write([ledger_package.row(store, call_id="the one")])
        ledger.close()

    asyncio.run(play())
    assert 'not in the ledger: {"ts_us"' in caplog.text and '"the one"' in caplog.text


@pytest.mark.slow
def test_fifty_paid_answers_are_returned_and_no_further_call_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, errors = ledger_package.module(desk.package, "store"), desk.module("runtime.errors")
    broken, request = Broken(monkeypatch, store), desk.module("runtime.run").Request
    desk.models, desk.rules = ["openai:gpt-6-luna"], {"deadline_s": 60}
    desk.server.script["gpt-6-luna"] = [Reply(delay_s=1)]

    async def use(workspace: Any) -> None:
        tasks = [asyncio.create_task(workspace.handle(request("?"))) for _ in range(50)]
        await until(lambda: len(desk.hits()) == 50, 30)
        broken.error = FAULTS["full"][0]
        answers = await asyncio.gather(*tasks)
        assert [answer.status for answer in answers] == ["answered"] * 50
        for _ in range(3):
            with pytest.raises(errors.LedgerUnavailable, match="make room on the disk"):
                await workspace.handle(request("one more"))
        assert len(desk.hits()) == 50
        broken.error = None
        assert (await workspace.handle(request("and again"))).status == "answered"

    with caplog.at_level(logging.WARNING):
        desk.play(use)
    assert [row[1] for row in desk.rows()] == ["ok"] * 51
    assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) == 1


def test_a_workspace_whose_disk_is_full_pays_for_no_first_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, errors = ledger_package.module(desk.package, "store"), desk.module("runtime.errors")
    desk.models = ["openai:ok"]
    broken = Broken(monkeypatch, store)

    async def use(workspace: Any) -> None:
        broken.error = FAULTS["full"][0]
        with pytest.raises(errors.LedgerUnavailable, match="make room on the disk"):
            await workspace.handle(desk.module("runtime.run").Request("?"))
        assert desk.hits() == []
        broken.error = None
        await workspace.handle(desk.module("runtime.run").Request("?"))

    desk.play(use)
    assert desk.rows() == [("ok", "ok", None)]


def test_a_call_that_cannot_be_recorded_does_not_ask_its_next_model(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, errors = ledger_package.module(desk.package, "store"), desk.module("runtime.errors")
    broken, request = Broken(monkeypatch, store), desk.module("runtime.run").Request
    desk.models = ["openai:empty", "anthropic:ok"]
    desk.server.script["empty"] = [Reply(text="", delay_s=0.3)]

    async def use(workspace: Any) -> None:
        task = asyncio.create_task(workspace.handle(request("?")))
        await until(lambda: bool(desk.hits()))
        broken.error = FAULTS["io"][0]
        with pytest.raises(errors.LedgerUnavailable):
            await task
        broken.error = None

    desk.play(use)
    assert desk.rows() == [("empty", "rejected", "empty")]
    assert desk.hits() == ["empty"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small file system")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full_loses_nothing(store: Any, small: Path) -> None:
    path = small / "data" / "ledger.sqlite3"

    async def play() -> int:
        ledger, written = store.Ledger(path), 0
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
        with contextlib.suppress(store.LedgerUnavailable):
            while written < 20_000:
                await ledger.ready()
                await ledger.write([ledger_package.row(store)])
                written += 1
        with pytest.raises(store.LedgerUnavailable, match="make room on the disk"):
            await ledger.ready()
        (small / "filler").unlink()
        await ledger.ready()
        await ledger.write([ledger_package.row(store)])
        ledger.close()
        return written + 1

    written = asyncio.run(play())
    assert len(keys(store, path)) == written
