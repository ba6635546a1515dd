"""A ledger that goes away while it is open: deleted, replaced, on a full or read-only disk."""

import asyncio
import contextlib
import logging
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.stores import folder, keys, path, read_rows, rollup, store, write

__all__ = ["desk", "folder", "loopback", "path", "store"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_their_owners_alone(store: Any, path: Path) -> None:
    umask = os.umask(0)
    try:
        write(store, path, [ledger_package.row(store)])
        write(store, store.spill_of(path), [ledger_package.row(store)])
        assert mode(path.parent) == 0o700
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(umask)


def test_a_folder_where_the_ledger_should_be_is_left_as_it_is(store: Any, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    with pytest.raises(store.LedgerError, match=r"it is a folder.*FLEET_LEDGER_URL"):
        store.SqliteDatabase(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o1777


def delete_file(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in path.parent.glob("ledger*"):
        # SQLite takes its own files away when a connection ends.
        file.unlink(missing_ok=True)


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.sqlite3"))


@pytest.mark.parametrize("go", [delete_file, delete_all, delete_folder, move])
def test_a_ledger_that_is_deleted_is_made_anew(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture, go: Any
) -> None:
    lost, kept = [[ledger_package.row(store) for _ in range(3)] for _ in range(2)]

    async def play() -> None:
        ledger = store.Ledger(path)
        await ledger.write(lost)
        go(path)
        for row in kept:
            await ledger.write([row])
        ledger.close()

    asyncio.run(play())
    assert keys(store, path) == sorted((row.call_id, 1) for row in kept)
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    (warning,) = [
        one.getMessage() for one in caplog.records if "deleted or replaced" in one.message
    ]
    assert str(path) in warning and "3 attempts of this process" in warning


def empty(path: Path) -> None:
    path.write_bytes(b"")


def go_on(store: Any, path: Path, go: Any, caplog: pytest.LogCaptureFixture) -> tuple[Any, Any]:
    """Rows before and after something happened to an open ledger; the process dies afterwards."""
    before, after = [[ledger_package.row(store) for _ in range(3)] for _ in range(2)]
    database = store.SqliteDatabase(path)
    database.write(before)
    go(path)
    for row in after:
        database.write([row])
    copy = path.with_name("killed")  # what a process that is killed leaves behind
    copy.mkdir()
    for file in path.parent.glob("ledger.sqlite3*"):
        shutil.copy(file, copy)
    database.close()
    assert len(caplog.records) == 1
    return before, (after, copy / path.name)


def test_a_file_that_is_emptied_keeps_what_is_written_from_then_on(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, (after, copy) = go_on(store, path, empty, caplog)
    assert keys(store, copy) == sorted((row.call_id, 1) for row in after)
    assert keys(store, path) == keys(store, copy)


def test_a_checkpoint_of_another_process_is_not_a_loss(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = store.SqliteDatabase(path)
    database.write([ledger_package.row(store)])
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.write([ledger_package.row(store)])
    database.close()
    assert len(keys(store, path)) == 2 and not caplog.records


def test_another_file_in_its_place_is_written_to(store: Any, path: Path) -> None:
    """A backup that is put back while a process runs."""
    backup = path.with_name("backup.sqlite3")
    write(store, backup, [ledger_package.row(store, call_id="old")])

    async def play() -> None:
        ledger = store.Ledger(path)
        await ledger.write([ledger_package.row(store)])
        for file in path.parent.glob("ledger*"):
            file.unlink()
        backup.rename(path)
        await ledger.write([ledger_package.row(store, call_id="new")])
        ledger.close()

    asyncio.run(play())
    assert keys(store, path) == [("new", 1), ("old", 1)]


def test_the_same_file_that_comes_back_is_opened_again(store: Any, path: Path) -> None:
    """A volume that is unmounted and mounted again: meanwhile no file can be made in its place."""
    database = store.SqliteDatabase(path)
    try:
        database.write([ledger_package.row(store, call_id="one")])
        path.parent.rename(path.parent.with_name("away"))
        path.parent.write_text("where the folder was")
        with pytest.raises(store.LedgerError):
            database.write([ledger_package.row(store, call_id="two")])
        path.parent.unlink()
        path.parent.with_name("away").rename(path.parent)
        database.write([ledger_package.row(store, call_id="two")])
    finally:
        database.close()
    assert keys(store, path) == [("one", 1), ("two", 1)]


def test_a_file_deleted_while_it_is_written_gets_the_rows_again(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = store.set_verdicts

    def delete_meanwhile(*given: Any) -> None:
        monkeypatch.setattr(store, "set_verdicts", verdicts)
        delete_all(path)
        verdicts(*given)

    async def play() -> None:
        ledger = store.Ledger(path)
        monkeypatch.setattr(store, "set_verdicts", delete_meanwhile)
        await ledger.write([ledger_package.row(store, call_id="one")])
        ledger.close()

    asyncio.run(play())
    assert keys(store, path) == [("one", 1)]


@pytest.mark.slow
def test_deleted_at_any_moment_nothing_written_since_is_lost(store: Any, path: Path) -> None:
    rng, acknowledged = random.Random(3), list[tuple[float, str]]()

    async def caller(ledger: Any, until_s: float) -> None:
        while time.monotonic() < until_s:
            row, begun = ledger_package.row(store), time.monotonic()
            await ledger.write([row])
            acknowledged.append((begun, row.call_id))

    async def play() -> float:
        ledger, end = store.Ledger(path), time.monotonic() + 1.5
        tasks = [asyncio.create_task(caller(ledger, end)) for _ in range(8)]
        for _ in range(6):
            await asyncio.sleep(rng.random() / 5)
            await asyncio.to_thread(delete_all, path)
        deleted = time.monotonic()
        await asyncio.gather(*tasks)
        ledger.close()
        return deleted

    deleted = asyncio.run(play())
    there = {key for key, _ in keys(store, path)}
    since = {key for begun, key in acknowledged if begun > deleted}
    assert since and since <= there
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))


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


def test_texts_go_on_being_stored_in_a_ledger_that_is_made_anew(desk: Desk) -> None:
    desk.models, desk.more = ["openai:ok"], "[ledger]\nrecord_content = true\n"
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        await workspace.handle(request("1"))
        delete_all(desk.root / "data" / "ledger.sqlite3")
        await workspace.handle(request("2"))

    desk.play(use)
    with contextlib.closing(sqlite3.connect(desk.root / "data" / "ledger.sqlite3")) as database:
        assert database.execute("SELECT COUNT(*) FROM contents").fetchall() == [(1,)]
    assert len(desk.rows()) == 1


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


@pytest.mark.slow
def test_ten_thousand_rows_a_second_are_written(store: Any, path: Path) -> None:
    """Not measured against a clock: as many rows as many callers write come in few commits."""
    commits = 0
    write_ = store.SqliteDatabase.write

    def count_commit(database: Any, *given: Any) -> int:
        nonlocal commits
        commits += 1
        return write_(database, *given)

    async def play() -> None:
        store.SqliteDatabase.write = count_commit
        ledger = store.Ledger(path)
        for _ in range(10):
            rows = [ledger_package.row(store) for _ in range(1000)]
            await asyncio.gather(*(ledger.write([row]) for row in rows))
        ledger.close()
        store.SqliteDatabase.write = write_

    asyncio.run(play())
    assert commits <= 30
    assert len(keys(store, path)) == 10_000
    assert threading.active_count() < 50
