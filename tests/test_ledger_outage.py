"""A ledger that is locked, full, read-only or broken: rows wait, and no further call is sent."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package
from tests.stores import PACKAGE, folder, keys, path, read_rows, rollup, store, write

__all__ = ["folder", "path", "store"]


def test_rows_of_a_locked_ledger_come_in_later(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "LOCK_S", 0.2)
    write(store, path, [ledger_package.row(store)])

    async def play() -> None:
        ledger = store.Ledger(path)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                await asyncio.wait_for(ledger.write([ledger_package.row(store)]), 60)
            with pytest.raises(store.LedgerUnavailable, match="another process holds it"):
                await ledger.ready()
            assert len(keys(store, path)) == 1
            other.execute("ROLLBACK")
        await ledger.ready()
        await ledger.write([ledger_package.row(store)])
        ledger.close()

    asyncio.run(play())
    assert len(keys(store, path)) == 5
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert "another process holds it" in caplog.text


def test_what_was_set_aside_is_brought_in_at_the_next_opening(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = ledger_package.row(store)
    write(store, path, [row])
    write(store, store.spill_of(path), [row], [ledger_package.row(store) for _ in range(2500)])
    write(store, path)
    assert len(keys(store, path)) == 2501
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert keys(store, store.spill_of(path)) == []
    assert "2500 attempts that were set aside are in the ledger now" in caplog.text


def test_what_an_earlier_release_set_aside_is_named(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, path, [ledger_package.row(store)])
    write(store, store.spill_of(path), [ledger_package.row(store)])
    for name in ("ledger.spill.jsonl", "ledger.spill.0123.jsonl"):
        file = path.with_name(name)
        file.write_text("{}")
        caplog.clear()
        write(store, path)
        assert f"`ledger import {file}`" in caplog.text
        file.unlink()
    assert len(keys(store, path)) == 2


def test_rows_set_aside_while_another_process_brings_in_are_not_lost(
    store: Any, path: Path
) -> None:
    write(store, path)
    spill, total = store.spill_of(path), 300

    def add() -> None:
        for _ in range(total // 3):
            with contextlib.closing(store.connect(spill)) as aside:
                aside.write([ledger_package.row(store)])

    adding = [threading.Thread(target=add) for _ in range(3)]
    for thread in adding:
        thread.start()
    database = store.connect(path)
    while any(thread.is_alive() for thread in adding):
        store.bring_in(path, database)
        time.sleep(0.01)
    store.bring_in(path, database)
    database.close()
    assert len(keys(store, path)) == total


FULL = f"""
import asyncio, pathlib, resource, signal, sys
from {PACKAGE}.runtime import errors
from {PACKAGE}.runtime.ledger import writer
from tests.ledger_package import module, row
store = module({PACKAGE!r}, "store")

async def play():
    ledger = writer.Ledger(pathlib.Path(sys.argv[1]))
    await ledger.write([row(store)])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
    done = 0
    try:
        for _ in range(400):
            await ledger.ready()
            await ledger.write([row(store)])
            done += 1
    except errors.LedgerUnavailable as error:
        print("refused", error)
    print("done", done + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await ledger.ready()
    ledger.close()

asyncio.run(play())
"""


@pytest.mark.parametrize("limit", [150_000, 1])
def test_a_full_disk_keeps_every_acknowledged_row(
    store: Any, folder: Path, path: Path, limit: int
) -> None:
    """A limit on the size of files stands in for the disk: full after some rows, or at once."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    assert signal.SIGXFSZ
    process = ledger_package.start(folder, FULL, path, limit)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    done = int(out.split("done ")[1])
    write(store, path)
    assert len(keys(store, path)) >= done
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert done == 2 if limit == 1 else done > 5
    assert "refused No model is asked while attempts cannot be recorded, 1 of them" in out
    assert "are on disk now" in err


READ_ONLY = f"""
import asyncio, logging, pathlib, sys
from {PACKAGE}.runtime import errors
from {PACKAGE}.runtime.ledger import writer
from tests.ledger_package import module, row
store = module({PACKAGE!r}, "store")

async def play():
    try:
        ledger = writer.Ledger(pathlib.Path(sys.argv[1]))
    except errors.LedgerError as error:
        return print("refused", error)
    try:
        await ledger.ready()
    except errors.LedgerUnavailable as error:
        print("refused", error)
    ledger.close()

logging.basicConfig()
asyncio.run(play())
"""


@pytest.mark.parametrize("there", [True, False], ids=["file", "folder"])
def test_what_is_read_only_is_said_before_a_call_is_sent(
    store: Any, folder: Path, path: Path, there: bool
) -> None:
    path.parent.mkdir()
    if there:
        write(store, path, [ledger_package.row(store)])
    closed = path if there else path.parent
    closed.chmod(0o500)
    # Root may write everywhere, unless it gives that right away.
    root = os.geteuid() == 0
    within = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if root else ()
    if root and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    process = ledger_package.start(folder, READ_ONLY, path, within=within)
    out, err = process.communicate(timeout=60)
    closed.chmod(0o700)
    assert process.returncode == 0, err
    assert "make the file and its folder" in out + err
    write(store, path)
    assert "refused" in out
    assert len(keys(store, path)) == (1 if there else 0)


def test_a_ledger_that_cannot_be_written_says_so(store: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(store.LedgerError, match="cannot be opened"):
        store.Ledger(tmp_path / "file" / "ledger.sqlite3")
    (tmp_path / "ledger.sqlite3").mkdir()
    with pytest.raises(store.LedgerError, match="cannot be opened"):
        store.Ledger(tmp_path / "ledger.sqlite3")


def test_a_file_that_is_not_a_database_is_named_and_left_alone(store: Any, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but somebody's file" * 100)
    for use in (store.Ledger, lambda place: store.select(place, "SELECT 1")):
        with pytest.raises(store.LedgerError, match="move the file away"):
            use(path)
    assert path.read_bytes().startswith(b"not a database")


def test_rows_for_a_database_that_breaks_are_set_aside(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, path, [ledger_package.row(store) for _ in range(2000)])

    async def play() -> None:
        ledger = store.Ledger(path)
        with path.open("r+b") as file:
            for page in range(1, 60):
                file.seek(page * 4096)
                file.write(b"\xff" * 4096)
        await ledger.write([ledger_package.row(store)])
        ledger.close()

    asyncio.run(play())
    assert "No model is asked while attempts cannot be recorded, 1 of them" in caplog.text
    [kept] = read_rows(store, store.spill_of(path))
    assert kept.outcome == "ok"
