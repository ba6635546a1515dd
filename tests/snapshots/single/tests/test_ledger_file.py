"""Where the ledger is: files that vanish, are empty, old or no ledger at all, and servers."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ledger_rows import row, write

from desk.runtime.errors import LedgerError
from desk.runtime.ledger.location import (
    attempts,
    connect,
    database_path,
    select,
)
from desk.runtime.ledger.sqlite import SqliteDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger may be made."""
    return tmp_path / "data" / "ledger.sqlite3"


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
