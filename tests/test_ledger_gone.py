"""A ledger that goes away while it is open: deleted, emptied, moved or replaced."""

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package
from tests.fleets import Desk, desk, loopback
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
