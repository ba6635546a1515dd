"""The ledger as a SQLite file, which several processes may write and read."""

import errno
import logging
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from ..private import private_file
from .attempt import COLUMNS, DAY_US, Attempt, RowsRefused, values_of
from .rollup import COUNTERS, ROLLUP_KEY, Execute, Statement, add_to_rollup, set_verdicts

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
LOCK_S = 2
MIGRATION_S = 600
_TYPES: dict[Any, str] = {
    int: "INTEGER NOT NULL",
    int | None: "INTEGER",
    float | None: "REAL",
    str: "TEXT NOT NULL",
    str | None: "TEXT",
}
# Two processes may migrate at once: the second one waits for the first one's transaction, after
# which none of this changes anything. Schema 1 had no rollup.
_MIGRATION = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS attempts (
    {", ".join(f"{column.name} {_TYPES[column.type]}" for column in fields(Attempt))},
    UNIQUE (call_id, attempt)) STRICT;
CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (ts_us);
CREATE TABLE IF NOT EXISTS rollup (
    day INTEGER NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in ROLLUP_KEY[1:])},
    {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTERS)},
    PRIMARY KEY ({", ".join(ROLLUP_KEY)})) STRICT, WITHOUT ROWID;
{add_to_rollup("attempts WHERE NOT EXISTS (SELECT 1 FROM rollup)").replace("?", "''")};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
# secure_delete: what is erased must not stay readable in the file.
_SETTINGS = "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;"
INSERT = (
    f"INSERT INTO attempts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (call_id, attempt) DO NOTHING"
)
_ADD_LAST = add_to_rollup("attempts WHERE rowid > (SELECT MAX(rowid) FROM attempts) - ?")
# Counted from the newest row: a clock that jumps ahead must not empty the ledger.
_PRUNE = (
    "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE ts_us < ("
    "SELECT MIN(MAX(ts_us), ?) FROM attempts) - ? ORDER BY ts_us LIMIT 1000)"
)


def select_rows(path: Path, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Read from a ledger that exists. An older schema is migrated. Raises LedgerError."""
    if not path.is_file():
        raise LedgerError(f"The ledger {path} does not exist yet", "run `demo` or `ask` first")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with (
        ledger_errors(path, "read"),
        closing(sqlite3.connect(uri, timeout=LOCK_S, uri=True)) as connection,
    ):
        if _version(connection) != SCHEMA_VERSION:
            SqliteDatabase(path).close()
        return connection.execute(query, values).fetchall()


class SqliteDatabase:
    """A ledger file that is open for writing. All methods raise LedgerError."""

    writer = ""
    """The writer of its rows in the rollup: all processes share one."""

    def __init__(self, path: Path) -> None:
        self._path, self._written = path, 0
        self._file: FileId = None
        self._connection = self._connect()

    def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> int:
        """Add rows, set the verdicts of `judged` ones, and run `also`, in one transaction.

        A row whose key exists stays as it is. Returns the number of new rows. Raises RowsRefused
        where a row is wrong.
        """
        new = self._write(rows, also, judged)
        if self._has_moved():  # then these rows went to the file that is gone
            new = self._write(rows, also, judged)
        self._written += new
        return new

    def _write(
        self, rows: Sequence[Attempt], also: Sequence[Statement], judged: Sequence[Attempt]
    ) -> int:
        with self.transaction() as execute:
            new = self._connection.executemany(INSERT, map(values_of, [*rows, *judged])).rowcount
            execute(_ADD_LAST, (self.writer, new))
            set_verdicts(execute, self.writer, judged)
            for query, values in also:
                execute(query, values)
        return new

    @contextmanager
    def transaction(self) -> Generator[Execute]:
        """Commit what is executed in it together, or nothing of it."""
        with ledger_errors(self._path, "written"):
            if self._has_moved():
                self._reopen()
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield lambda query, values: self._connection.execute(query, values).rowcount

    def expect_writable(self) -> None:
        """Write what is there already. Raises LedgerError where nothing can be written."""
        with self.transaction() as execute:
            execute(f"PRAGMA user_version = {SCHEMA_VERSION}", ())

    def prune(self, days: int) -> bool:
        """Remove some rows that are older than `days`; return True while there are more."""
        with self.transaction() as execute:
            return execute(_PRUNE, (time.time_ns() // 1000, days * DAY_US)) > 0

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        with ledger_errors(self._path, "opened"):
            private_file(self._path)
            connection = sqlite3.connect(
                self._path, timeout=LOCK_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._file = file_id(self._path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _version(connection) < SCHEMA_VERSION:
            with closing(sqlite3.connect(self._path, timeout=MIGRATION_S)) as patient:
                patient.executescript(_MIGRATION)
        # SQLite does not wait for the lock that WAL needs: then the next process switches it on.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SETTINGS)
        if _version(connection) > SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger {self._path} was written by a newer workspace", "update this one"
            )

    def _has_moved(self) -> bool:
        """Return whether another file, or none, lies where this one was opened."""
        return self._file is None or file_id(self._path) != self._file

    def _reopen(self) -> None:
        """Open the file that lies there now; make one where there is none, or an empty one."""
        if self._path.is_file() and not self._path.stat().st_size:
            self._path.unlink()  # what the log of an emptied file holds must not be mixed into it
        self._connection.close()
        self._file = None  # until it is open, even if the same file returns meanwhile
        self._connection = self._connect()
        log.warning(
            "The ledger %s was deleted or replaced while it was open. What it held is gone, %d "
            "attempts of this process among it. A new one goes on from here.",
            self._path,
            self._written,
        )
        self._written = 0


FileId = tuple[int, int] | None


def file_id(path: Path) -> FileId:
    """Tell a file from another one of its name. None where it is absent or empty."""
    try:
        there = path.stat()
    except OSError:
        return None
    return (there.st_dev, there.st_ino) if there.st_size else None


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


_WRONG_ROW = (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError)
_HINTS = {
    sqlite3.SQLITE_BUSY: "another process holds it: end that one, or set FLEET_LEDGER_URL",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "look at the disk",
    sqlite3.SQLITE_NOTADB: "move the file away; a new one is made",
    sqlite3.SQLITE_CORRUPT: "move the file away; `sqlite3 FILE .recover` reads it",
}
_ACCESS = "make the file and its folder writable, or set FLEET_LEDGER_URL"


@contextmanager
def ledger_errors(path: Path, what: str) -> Generator[None]:
    """Turn SQLite's errors into LedgerError, which says what to do."""
    try:
        yield
    except (OSError, sqlite3.Error, *_WRONG_ROW) as error:
        if isinstance(error, _WRONG_ROW) or "overflow" in str(error):
            raise RowsRefused(f"The ledger does not take an attempt ({error})") from None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            code = sqlite3.SQLITE_FULL
        hint = _HINTS.get(code, _ACCESS)
        raise LedgerError(f"The ledger {path} cannot be {what} ({error})", hint) from None
