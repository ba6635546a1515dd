"""The ledger: one row per attempt and a daily rollup, committed together.

One thread writes; whoever calls `write` waits for the commit, so many callers share one
transaction. Rows that the database does not take are set aside in a second ledger beside it, from
where the next opening or the next commit that works brings them in; while that does not work
either they stay in memory, and `ready` refuses further calls. Names of columns follow
OpenTelemetry's conventions for generative AI.
"""

import asyncio
import atexit
import errno
import json
import logging
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from ..errors import LedgerError, LedgerUnavailable
from ..fleet import Settings, find_root
from ..private import private_file
from ..redaction import redact_secrets

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
LOCK_S = 2
RETRY_S = 10
RETRY_KEPT_S = 1  # sooner while rows are in memory alone, and no call is sent
DAY_S = 24 * 3600
MOST_TOKENS = 10**12
DAY_US = DAY_S * 1_000_000


class LedgerSettings(Settings):
    """`[ledger]`: days that rows, and texts if they are recorded, are kept (0: rows for ever)."""

    retention_days: int = Field(default=0, ge=0)
    record_content: bool = False
    content_days: int = Field(default=30, ge=1)


def new_id() -> str:
    """32 hexadecimal digits that sort by time: 12 of milliseconds, 20 at random."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt. None means not reported: tokens that were not counted are never 0.

    `cost_nano_usd` is in 10⁻⁹ US dollars; None with `cost_source` "unpriced" is not free.
    Cached and reasoning tokens are parts of input and output, not additions to them.
    """

    ts_us: int
    latency_ms: int = 0
    ttft_ms: int | None = None
    call_id: str
    run_id: str
    parent_id: str | None = None
    operation: str = "chat"
    provider: str
    deployment: str | None = None
    request_model: str
    response_model: str | None = None
    provider_request_id: str | None = None
    service_tier: str | None = None
    agent: str | None = None
    task_type: str
    pipeline: str | None = None
    stage: str
    chain: str
    attempt: int
    fallback_from: str | None = None
    outcome: str
    error_type: str | None = None
    quality: float | None = None
    quality_source: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    other_units: str | None = None
    cost_nano_usd: int | None = None
    cost_source: str = "none"
    price_version: str | None = None
    prompt_version: str | None = None
    config_version: str | None = None
    environment: str = "production"
    user_ref: str | None = None
    tags: str = "{}"

    def __post_init__(self) -> None:
        # A provider's mistake says nothing: it must not lower a sum, nor be too large for a column.
        for name in TOKENS:
            if not 0 <= (getattr(self, name) or 0) < MOST_TOKENS:
                setattr(self, name, None)
        for name in _THEIRS:  # a gateway may echo anything
            if said := getattr(self, name):
                setattr(self, name, redact_secrets(said))


_THEIRS = ("response_model", "provider_request_id", "service_tier")
VERDICT = ("outcome", "error_type", "quality", "quality_source")
"""The columns that are known only once a completion was examined."""
COLUMNS = tuple(column.name for column in fields(Attempt))
TOKENS = tuple(name for name in COLUMNS if name.endswith("_tokens"))
values_of: Callable[[Attempt], tuple[Any, ...]] = attrgetter(*COLUMNS)

BOUNDS_MS = (
    *(10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000),
    *(7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000),
)
"""Upper bounds of the latency histogram; a bucket counts what is above the one before it."""
BUCKETS = (*(f"ms_{bound}" for bound in BOUNDS_MS), "ms_more")


ROLLUP_KEY = (
    *("day", "environment", "writer", "task_type", "provider", "deployment"),
    *("request_model", "chain", "pipeline", "stage"),
)
OUTCOMES = ("ok", "failed", "rejected", "skipped", "escalated", "aborted", "answered")
# SQL over `attempts`. No lists of IN: SQLite builds a table for each of them.
_KEYS = {"day": f"ts_us / {DAY_US}", "writer": "?"} | {
    name: f"COALESCE({name}, '')" for name in ("deployment", "pipeline")
}
_REACHED = "outcome != 'skipped' AND outcome != 'escalated' AND outcome != 'answered'"
_TIMED = f"{_REACHED} AND outcome != 'aborted'"
_PRICED = "cost_source != 'unpriced' AND cost_source != 'none'"
_WASTED = f"{_PRICED} AND (outcome = 'failed' OR outcome = 'rejected' OR outcome = 'aborted')"
# Without tokens there is no cost, unless a server is paid by the hour or its provider tells one.
_UNCOUNTED = (
    "outcome != 'failed' AND (input_tokens IS NULL OR output_tokens IS NULL) "
    "AND cost_nano_usd IS NULL"
)
_EDGES = (-(2**62), *BOUNDS_MS, 2**62)


def _sum(which: str, value: str = "1") -> str:
    return f"COALESCE(SUM({value}) FILTER (WHERE {which}), 0)"


COUNTERS = {
    "calls": _sum("attempt = 1"),
    "attempts": _sum(_REACHED),
    **{outcome: _sum(f"outcome = '{outcome}'") for outcome in OUTCOMES},
    "fallbacks": _sum("outcome = 'ok' AND attempt > 1"),
    "priced": _sum(_PRICED),
    "unpriced": _sum("cost_source = 'unpriced'"),
    "unmeasured": _sum(f"{_TIMED} AND {_UNCOUNTED}"),
    **{tokens: _sum(_REACHED, tokens) for tokens in TOKENS},
    "cost_nano_usd": _sum(_PRICED, "cost_nano_usd"),
    "wasted_nano_usd": _sum(_WASTED, "cost_nano_usd"),
    "quality_n": _sum("quality IS NOT NULL"),
    "quality_milli": _sum("quality IS NOT NULL", "CAST(ROUND(quality * 1000) AS BIGINT)"),
    "latency_ms": _sum(_TIMED, "latency_ms"),
    **{
        bucket: _sum(f"{_TIMED} AND latency_ms > {above} AND latency_ms <= {bound}")
        for bucket, (above, bound) in zip(BUCKETS, pairwise(_EDGES), strict=True)
    },
}
"""What the rollup counts: a column, and its SQL over the attempts of a group."""


def adding_up(rows: str, counters: Mapping[str, str] = COUNTERS) -> str:
    """SQL that adds some rows of `attempts` to the rollup; its first value is the writer."""
    keys = [_KEYS.get(name, name) for name in ROLLUP_KEY]
    return (
        f"INSERT INTO rollup ({', '.join((*ROLLUP_KEY, *counters))}) "
        f"SELECT {', '.join((*keys, *counters.values()))} FROM {rows} "
        f"GROUP BY {', '.join(str(at + 1) for at in range(len(keys)))} "
        f"ON CONFLICT ({', '.join(ROLLUP_KEY)}) DO UPDATE SET "
        f"{', '.join(f'{name} = rollup.{name} + excluded.{name}' for name in counters)}"
    )


_TYPES: dict[Any, str] = {
    int: "INTEGER NOT NULL",
    int | None: "INTEGER",
    float | None: "REAL",
    str: "TEXT NOT NULL",
    str | None: "TEXT",
}
# Two processes may be at it at once; the second waits for the first one's whole migration, after
# which none of this changes anything. Version 1 had no rollup.
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
{adding_up("attempts WHERE NOT EXISTS (SELECT 1 FROM rollup)").replace("?", "''")};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_SETTINGS = """
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 8000; -- pages: it holds up who waits
PRAGMA secure_delete = ON; -- what is erased is not left in the file
"""
INSERT = (
    f"INSERT INTO attempts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (call_id, attempt) DO NOTHING"
)
# SQLite takes NaN as NULL; for every None, sqlite3 looks for an adapter (half of an insert's time).
_NULL = float("nan")
_ADD_LAST = adding_up("attempts WHERE rowid > (SELECT MAX(rowid) FROM attempts) - ?")
_KEY = "call_id = ? AND attempt = ?"
_OPEN = "(outcome = 'aborted' OR (outcome = 'ok' AND error_type IS NULL))"
NOT_DELIVERED = "not_delivered"
"""The `error_type` of a good answer that a better one of the same run took the place of."""


def verdicts(execute: "Execute", writer: str, rows: Sequence[Attempt], key: str = _KEY) -> None:
    """Give rows that were written as "aborted", before they were examined, how they ended.

    A good answer that was not delivered gets its `error_type` so. What they add to the rollup is
    taken out of it and added anew.
    """
    take_out, judge, add = _judging(key)
    for row in rows:
        at: list[Any] = [row.call_id, row.attempt]
        at += [row.ts_us // DAY_US] if key != _KEY else []
        execute(take_out, (writer, *at))
        ended = [getattr(row, name) for name in VERDICT]
        if execute(judge, (*ended, *at)):
            execute(add, (writer, *at))


@cache
def _judging(key: str) -> tuple[str, str, str]:
    rows = f"attempts WHERE {key}"
    taken = {name: f"-{total}" for name, total in COUNTERS.items()}
    columns = ", ".join(f"{name} = ?" for name in VERDICT)
    judge = f"UPDATE attempts SET {columns} WHERE {key} AND {_OPEN}"
    return adding_up(f"{rows} AND {_OPEN}", taken), judge, adding_up(rows)


# Counted from the newest row: a clock that jumps ahead must not empty the ledger.
_PRUNE = (
    "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE ts_us < ("
    "SELECT MIN(MAX(ts_us), ?) FROM attempts) - ? ORDER BY ts_us LIMIT 1000)"
)
Statement = tuple[str, Sequence[Any]]
Execute = Callable[[str, Sequence[Any]], int]
"""Runs SQL with `?` for values; returns the number of rows it changed."""


class RowsRefused(LedgerError):
    """The rows themselves are at fault: an empty column that must not be, a number too large."""


class Server(Protocol):
    """A ledger that is no file. Its text is its URL without the password."""

    def connect(self) -> Any: ...  # a class with the methods of Database
    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...


Location = Path | Server


class FileFormat(Protocol):
    """A format of files besides CSV and JSON Lines: made of JSON Lines, read as pages of them."""

    def write(self, lines: Path, path: Path) -> None: ...
    def pages(self, path: Path) -> Iterator[list[bytes]]: ...


OpenServer = Callable[[str], Server]
"""Opens a ledger at its URL. Raises ImportError where its driver is not installed."""


def database_path(root: Path, servers: Mapping[str, OpenServer] | None = None) -> Location:
    """Where the ledger is: FLEET_LEDGER_URL, else `data/ledger.sqlite3` in the workspace.

    `servers` open the ledgers that are no file, by the scheme of their URLs.
    """
    if file := ledger_file(root):
        return file
    url = os.environ["FLEET_LEDGER_URL"]
    scheme = url.partition(":")[0]
    try:
        return (servers or {})[scheme](url)
    except (KeyError, ImportError):
        raise LedgerError(
            f"FLEET_LEDGER_URL '{scheme[:12]}…' cannot be used here: set sqlite:///PATH, or add what "
            "is missing (`scaffold add extra ledger_postgresql`, then `uv sync`)."
        ) from None


def ledger_file(root: Path) -> Path | None:
    """Return the file of the ledger; None where FLEET_LEDGER_URL names a server."""
    url = os.environ.get("FLEET_LEDGER_URL") or f"sqlite:///{root / 'data' / 'ledger.sqlite3'}"
    name = url.removeprefix("sqlite:///")
    return Path(name) if name and name != url else None


def connect(location: Location) -> "Database":
    """Open a ledger for writing; an older schema is brought forward. Raises LedgerError."""
    return Database(location) if isinstance(location, Path) else location.connect()


def select(location: Location, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Read from a ledger, in SQL that every backend understands (`?` for values).

    Raises LedgerError when there is none or it cannot be read.
    """
    if not isinstance(location, Path):
        return location.select(query, values)
    if not location.is_file():
        raise LedgerError(f"There is no ledger at {location} yet: run `demo` or `ask` first.")
    uri = f"{location.absolute().as_uri()}?mode=ro"
    with (
        _told(location, "read"),
        closing(sqlite3.connect(uri, timeout=LOCK_S, uri=True)) as database,
    ):
        if _version(database) != SCHEMA_VERSION:
            connect(location).close()  # brings an older schema forward, or says why it cannot
        return database.execute(query, values).fetchall()


def attempts(location: Location, which: str, values: Sequence[Any] = ()) -> list[Attempt]:
    """The attempts that some SQL after FROM chooses. Raises LedgerError."""
    rows = select(location, f"SELECT {', '.join(COLUMNS)} FROM attempts {which}", values)
    return [Attempt(**dict(zip(COLUMNS, row, strict=True))) for row in rows]


class Database:
    """A ledger open for writing: a file, which several processes may write. Raises LedgerError.

    Another backend has a class with the same methods.
    """

    writer = ""
    """Whose rows of the rollup it adds to."""

    def __init__(self, path: Path) -> None:
        self._path, self._added = path, 0
        self._open()

    def _open(self) -> None:
        path = self._path
        with _told(path, "opened"):
            private_file(path)
            self._sqlite = sqlite3.connect(
                path, timeout=LOCK_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._sqlite.close()  # nobody else can: the constructor fails
                raise
            self._file, self._sides = identity(path), sides(path)

    def _prepare(self) -> None:
        """Bring the schema forward and set the connection up. Raises LedgerError."""
        if _version(self._sqlite) < SCHEMA_VERSION:
            with closing(sqlite3.connect(self._path, timeout=600)) as patient:
                patient.executescript(_MIGRATION)
        # SQLite does not wait for the lock that WAL needs: then it is for who opens it next.
        with suppress(sqlite3.OperationalError):
            self._sqlite.execute("PRAGMA journal_mode = WAL")
        self._sqlite.executescript(_SETTINGS)
        if _version(self._sqlite) > SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger {self._path} was written by a newer workspace: update this one."
            )

    def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> int:
        """Add rows and their rollup, and run `also`; a key that is there already stays as it is.

        `judged` are rows that were written before they were examined, see `verdicts`. Returns the
        number of new rows. Raises RowsRefused.
        """
        new = self._write(rows, also, judged)
        if self._is_gone() or self._lacks_a_side():  # what was just written to it as well
            new = max(new, self._write(rows, also, judged))
        self._added += new
        return new

    def _write(
        self, rows: Sequence[Attempt], also: Sequence[Statement], judged: Sequence[Attempt]
    ) -> int:
        with self.transaction() as execute:
            every = [*rows, *judged] if judged else rows
            values = ([_NULL if one is None else one for one in values_of(row)] for row in every)
            new = self._sqlite.executemany(INSERT, values).rowcount
            execute(_ADD_LAST, (self.writer, new))
            verdicts(execute, self.writer, judged)
            for query, given in also:
                execute(query, given)
        self._sides = sides(self._path)
        return new

    def _follow(self) -> None:
        """Open the file anew where it was deleted or replaced; what was lost is in the log."""
        if not self._is_gone():
            if self._lacks_a_side():
                self._rejoin()
            return
        self._sqlite.close()
        self._file = None  # closed, even if the same file comes back before it is opened
        self._open()
        lost, self._added = self._added, 0
        log.warning(
            "The ledger %s was deleted or replaced while it was open. What it held is gone with "
            "it, %d attempts of this process among it; a new one goes on from here.",
            self._path,
            lost,
        )

    def _rejoin(self) -> None:
        """Open the file anew whose -wal or -shm was removed or cut, with what is to be had of it."""
        now, pages = sides(self._path), None
        with suppress(sqlite3.Error):
            _, pages, _ = self._sqlite.execute("PRAGMA wal_checkpoint").fetchone()
        if pages == 0 and all(now):  # SQLite itself cut it, for a process that erases
            self._sides = now
            return
        self._sqlite.close()
        self._file = None
        self._open()
        log.warning(
            "The -wal or -shm file of the ledger %s was removed or cut while it was open. Leave "
            "them to SQLite: they hold attempts.",
            self._path,
        )

    def _lacks_a_side(self) -> bool:
        return any(
            was and (now is None or now[:2] != was[:2] or now[2] < was[2])
            for was, now in zip(self._sides, sides(self._path), strict=True)
        )

    def _is_gone(self) -> bool:
        return is_gone(self._path, self._file)

    @contextmanager
    def transaction(self) -> Generator[Execute]:
        """Commit what is executed in it together, or nothing of it."""
        with _told(self._path, "written"):
            self._follow()
        with _told(self._path, "written"), self._sqlite:
            self._sqlite.execute("BEGIN IMMEDIATE")
            yield lambda query, values: self._sqlite.execute(query, values).rowcount

    def prove(self) -> None:
        """Write what is there already. Raises LedgerError where nothing can be written."""
        with self.transaction() as execute:
            execute(f"PRAGMA user_version = {SCHEMA_VERSION}", ())

    def prune(self, days: int) -> bool:
        """Remove some of the rows older than `days`; True while there are more. Rollup stays."""
        with self.transaction() as execute:
            return execute(_PRUNE, (time.time_ns() // 1000, days * DAY_US)) > 0

    def close(self) -> None:
        self._sqlite.close()


def identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there: another one after it was deleted or replaced. None where none does."""
    there = _stat(path)
    return there and there[:2]


def is_gone(path: Path, was: tuple[int, int] | None) -> bool:
    """Whether it is not this file that lies there; one that was emptied is removed."""
    there = _stat(path)
    if there and there[:2] == was and not there[2]:
        with suppress(OSError):
            path.unlink()  # what its -wal holds must not be mixed into it
        return True
    return there is None or there[:2] != was


def sides(path: Path) -> list[tuple[int, int, int] | None]:
    """Which files SQLite has beside its database, and how large they are."""
    return [_stat(path.with_name(path.name + side)) for side in ("-wal", "-shm")]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino, there.st_size


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


_AT_FAULT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError)
_HINTS = {
    sqlite3.SQLITE_BUSY: "another process holds it: end that one, or set FLEET_LEDGER_URL",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder accessible, or set FLEET_LEDGER_URL",
    sqlite3.SQLITE_NOTADB: "move the file away, a new one is made; `ledger import` (extra ledger_tools) takes exports",
    sqlite3.SQLITE_CORRUPT: "move the file away, a new one is made; `sqlite3 FILE .recover` reads it",
}

_BY_ERRNO: dict[int | None, int] = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), sqlite3.SQLITE_READONLY),
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.ENOENT), sqlite3.SQLITE_CANTOPEN),
}


@contextmanager
def _told(path: Path, what: str) -> Generator[None]:
    """SQLite's errors as LedgerError, with what to do about it."""
    try:
        yield
    except (OSError, sqlite3.Error, *_AT_FAULT) as error:
        if isinstance(error, _AT_FAULT) or "overflow" in str(error):
            raise RowsRefused(f"The ledger does not take an attempt: {error}.") from None
        code = getattr(error, "sqlite_errorcode", _BY_ERRNO.get(getattr(error, "errno", None), 0))
        hint = _HINTS.get(code & 0xFF, "look at the disk")
        raise LedgerError(f"The ledger {path} cannot be {what} ({error}): {hint}.") from None


def spill_of(ledger: Location) -> Path:
    """The ledger beside a ledger (of a server: in data/) for rows that it does not take."""
    at = ledger if isinstance(ledger, Path) else find_root() / "data" / "ledger"
    return at.with_suffix(".spill.sqlite3")


def bring_in(spill: Path, database: Database) -> int:
    """Move every row that was set aside into the ledger: the number of new ones.

    Raises LedgerError, with nothing lost: a row that is moved twice is booked once.
    """
    new, moved = 0, "DELETE FROM attempts WHERE call_id = ? AND attempt = ?"
    while spill.exists() and (rows := attempts(spill, "LIMIT 1000")):
        new += database.write(rows, judged=[row for row in rows if row.outcome != "aborted"])
        with closing(Database(spill)) as aside, aside.transaction() as execute:
            for row in rows:
                execute(moved, (row.call_id, row.attempt))
    if left := sorted(spill.parent.glob(f"{spill.stem}*.jsonl")):
        raise LedgerError(
            f"An earlier release set {left[0]} aside: add the extra ledger_tools, "
            f"`ledger import {left[0]}`, then remove it."
        )
    return new


@dataclass(slots=True, eq=False)
class _Write:
    """What one caller wants committed; a call that has nothing only asks whether it would work."""

    rows: Sequence[Attempt] = ()
    also: Sequence[Statement] = ()
    judged: Sequence[Attempt] = ()
    saved: "asyncio.Future[LedgerError | None] | None" = field(default=None)


class Ledger:
    """The writing side. Leaving the workspace closes it, which waits until all is on disk."""

    def __init__(self, path: Location, settings: LedgerSettings | None = None) -> None:
        self.path = path
        self._days = settings.retention_days if settings else 0
        self._database = connect(path)
        self._spill = spill_of(path)
        self._outage, self._retry_at = "", 0.0
        self._kept: list[_Write] = []
        self._proven = False
        self._turn: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        self._queue: queue.SimpleQueue[list[_Write]] = queue.SimpleQueue()
        self._closed, self._pid = False, os.getpid()
        # A daemon: a program that dies must not hang on its ledger; `close` is the orderly way.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # of a program that does not

    async def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> None:
        """Return once the rows are on disk: committed, or set aside with a warning.

        `also` runs in the same transaction; it is left out where the rows are set aside. `judged`
        are rows that were written before, and how they ended. Where neither works they stay in
        memory, and `ready` raises until they are written. Raises LedgerError for a wrong row.
        """
        self.expect_open()
        await self._wait_for(_Write(rows, also, judged))

    async def ready(self) -> None:
        """Raises LedgerUnavailable while rows could be written nowhere: no call may be sent then.

        It is tried before the first call; afterwards the rows of each call show it.
        """
        self.expect_open()
        if self._kept or not self._proven:
            await self._wait_for(_Write())

    async def _wait_for(self, write: _Write) -> None:
        loop = asyncio.get_running_loop()
        write.saved = loop.create_future()
        # What one turn of the event loop writes is handed over at once: every wake-up of the thread
        # costs a fight for the interpreter's lock.
        waiting = self._turn.setdefault(loop, [])
        if not waiting:
            loop.call_soon(self._hand_over, loop)
        waiting.append(write)
        if failed := await write.saved:
            raise failed

    def expect_open(self) -> None:
        """Raises LedgerError once it is closed: what is asked now could not be booked."""
        if self._pid != os.getpid():
            raise LedgerError("The workspace was opened before a fork: open one in each process.")
        if self._closed:
            raise LedgerError(f"The ledger {self.path} is closed: open the workspace again.")

    def close(self) -> None:
        """Commit what is waiting and end the thread."""
        atexit.unregister(self.close)
        if self._pid != os.getpid():  # a fork has no such thread
            return
        for loop in list(self._turn):
            self._hand_over(loop)
        self._closed = True
        self._queue.put([])
        self._thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if waiting := self._turn.pop(loop, None):
            self._queue.put(waiting)

    def _run(self) -> None:
        self._bring_in()
        prune_at = time.monotonic()
        while not (self._closed and self._queue.empty()):
            wait = RETRY_KEPT_S if self._kept else max(0, prune_at - time.monotonic())
            try:
                batch = self._queue.get(timeout=wait)
            except queue.Empty:
                if self._kept:
                    self._commit([])
                else:
                    prune_at = time.monotonic() + (0 if self._prune() else DAY_S)
                continue
            while not self._queue.empty():
                batch += self._queue.get()
            self._commit(batch)
        self._bring_in()
        for row in (row for write in self._kept for row in (*write.rows, *write.judged)):
            log.error("not in the ledger: %s", json.dumps(asdict(row), default=str))
        self._database.close()

    def _commit(self, batch: Sequence[_Write]) -> None:
        """Commit writes, those that are in memory first, and tell their callers."""
        failed: LedgerError | None = None
        try:
            while self._kept:
                self._save_kept()
            if any(one.rows or one.judged for one in batch):
                self._save(batch)
            elif not self._proven:
                self._prove()
            self._proven = True
        except LedgerError as error:
            failed = error
            if isinstance(error, RowsRefused) and len(batch) > 1:
                for entry in batch:
                    self._commit([entry])
                return
            if not isinstance(error, RowsRefused):
                failed = self._keep(batch)
        self._tell([one for one in batch if failed is None or _refuses(failed, one)], failed)
        self._tell([one for one in batch if failed and not _refuses(failed, one)], None)

    def _tell(self, batch: Sequence[_Write], failed: LedgerError | None) -> None:
        # One wake-up of each event loop, however many of its callers wait.
        waiting = [one.saved for one in batch if one.saved]
        for loop, saved in groupby(waiting, key=lambda future: future.get_loop()):
            with suppress(RuntimeError):  # a closed loop: nobody waits any more
                loop.call_soon_threadsafe(_settle, list(saved), failed)

    def _keep(self, batch: Sequence[_Write]) -> LedgerUnavailable:
        """Keep what could be written nowhere in memory; returns what to say to further calls."""
        begins = not self._kept
        self._kept += [one for one in batch if one.rows or one.judged]
        rows = sum(len(one.rows) or len(one.judged) for one in self._kept)
        refused = LedgerUnavailable(
            f"No model is asked while attempts cannot be recorded, {rows} of them are in memory "
            f"alone. {self._outage} Calls go on by themselves once that works again."
        )
        if begins and self._kept:
            log.error("%s", refused)
        return refused

    def _save_kept(self) -> None:
        """Write what is in memory. Raises LedgerError; a row that is refused is in the log."""
        kept = self._kept
        try:
            self._save(kept)
        except RowsRefused:
            kept = kept[:1]
            try:
                self._save(kept)
            except RowsRefused as error:
                log.error("%s It is lost: %s", error, kept[0].rows or kept[0].judged)
        self._kept = self._kept[len(kept) :]
        if not self._kept:
            log.warning("The attempts that were in memory alone are on disk now.")

    def _save(self, batch: Sequence[_Write]) -> None:
        """Commit rows; while the database does not work, which is tried now and then, set them aside.

        Raises RowsRefused, and LedgerError when they cannot be set aside either.
        """
        rows = [row for one in batch for row in one.rows]
        judged = [row for one in batch for row in one.judged]
        try:
            if time.monotonic() >= self._retry_at:
                also = [statement for one in batch for statement in one.also]
                self._database.write(rows, also, judged)
                return self._bring_in() if self._outage else None
        except RowsRefused:
            raise
        except Exception as error:  # whatever it is: callers wait for this thread
            self._outage, self._retry_at = str(error), time.monotonic() + RETRY_S
            if not self._kept:
                log.warning("%s Until then attempts go to %s.", error, self._spill)
        try:
            with closing(Database(self._spill)) as aside:
                aside.write(rows, judged=judged)
        except RowsRefused:
            raise
        except Exception as error:
            self._retry_at = 0
            raise LedgerError(f"{self._outage} Nor can it be set aside: {error}") from None

    def _prove(self) -> None:
        """Raises LedgerError where neither the database nor the one beside it can be written."""
        try:
            self._database.prove()
        except LedgerError as error:
            self._outage = str(error)
            with closing(Database(self._spill)) as aside:
                aside.prove()

    def _bring_in(self) -> None:
        self._outage = ""
        try:
            if new := bring_in(self._spill, self._database):
                log.warning("%d attempts that were set aside are in the ledger now", new)
        except LedgerError as error:
            log.warning("attempts set aside in %s wait for another start: %s", self._spill, error)

    def _prune(self) -> bool:
        """Remove old rows; whether there are more."""
        try:
            return self._days > 0 and self._database.prune(self._days)
        except LedgerError as error:
            log.warning("old attempts stay for now: %s", error)
            return False


def _refuses(failed: LedgerError, write: _Write) -> bool:
    """Whether a failure is its caller's to know; rows that are kept in memory are not lost."""
    return not (isinstance(failed, LedgerUnavailable) and (write.rows or write.judged))


def _settle(
    waiting: "Sequence[asyncio.Future[LedgerError | None]]", failed: LedgerError | None
) -> None:
    for saved in waiting:
        if not saved.done():  # else who waited has left
            saved.set_result(failed)
