"""The ledger: one row per attempt and a daily rollup, committed together.

One thread writes; whoever calls `write` waits for the commit, so many callers share one
transaction. Rows that the database does not take go to a spill file beside it, from where the
next opening or the next commit that works brings them in. Names of columns follow
OpenTelemetry's conventions for generative AI.
"""

import asyncio
import importlib
import logging
import os
import queue
import re
import secrets
import sqlite3
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import to_json

from ..errors import LedgerError
from ..fleet import Settings, find_root

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
LOCK_S = 5
DAY_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The URL of a database that is no file. Shown without its password."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return re.sub(r"//[^@/]*@", "//", self.url)


Location = Path | DatabaseUrl
"""Where a ledger is: the path of an SQLite file, or another database."""


class LedgerSettings(Settings):
    """`[ledger]`: days that rows are kept (0: for ever). Prompts and answers are not stored."""

    retention_days: int = Field(default=0, ge=0)
    record_content: bool = False

    @field_validator("record_content")
    @classmethod
    def _not_stored(cls, value: bool) -> bool:
        if value:
            raise ValueError("this version stores no prompts and answers: set it to false")
        return value


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
        # A negative count is a provider's mistake: it says nothing, and must not lower a sum.
        for name in TOKENS:
            if (getattr(self, name) or 0) < 0:
                setattr(self, name, None)


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
COUNTERS = (
    *("calls", "attempts", *OUTCOMES, "fallbacks", "priced", "unpriced", "unmeasured", *TOKENS),
    *("cost_nano_usd", "wasted_nano_usd", "quality_n", "quality_milli", "latency_ms", *BUCKETS),
)
Rollup = dict[tuple[Any, ...], dict[str, int]]


def fold(rows: Iterable[Attempt], writer: str = "") -> Rollup:
    """What these rows add to the daily rollup: its key -> counters. Additive over any split."""
    rollup: Rollup = {}
    for row in rows:
        key = (row.ts_us // DAY_US, row.environment, writer, row.task_type, row.provider)
        key += (row.deployment or "", row.request_model, row.chain, row.pipeline or "", row.stage)
        total = rollup.get(key)
        if total is None:
            total = rollup[key] = dict.fromkeys(COUNTERS, 0)
        _add(row, total)
    return rollup


def fold_costs(rows: Sequence[Attempt], writer: str = "") -> Rollup:
    """What it adds to the rollup that these rows, unpriced until now, have a cost."""
    unpriced = (replace(row, cost_nano_usd=None, cost_source="unpriced") for row in rows)
    before = fold(unpriced, writer)
    return {
        key: {name: total[name] - before[key][name] for name in COUNTERS}
        for key, total in fold(rows, writer).items()
    }


def _add(row: Attempt, total: dict[str, int]) -> None:
    outcome = row.outcome
    total["calls"] += row.attempt == 1
    if outcome in OUTCOMES:
        total[outcome] += 1
    if outcome not in ("skipped", "escalated", "answered"):
        total["attempts"] += 1
        _add_measures(row, total)
    total["fallbacks"] += outcome == "ok" and row.attempt > 1
    if row.cost_source == "unpriced":
        total["unpriced"] += 1
    elif row.cost_source != "none":
        cost = row.cost_nano_usd or 0
        total["priced"] += 1
        total["cost_nano_usd"] += cost
        total["wasted_nano_usd"] += cost if outcome in ("failed", "rejected", "aborted") else 0
    if row.quality is not None:
        total["quality_n"] += 1
        total["quality_milli"] += round(row.quality * 1000)


def _add_measures(row: Attempt, total: dict[str, int]) -> None:
    total["input_tokens"] += row.input_tokens or 0
    total["output_tokens"] += row.output_tokens or 0
    total["cache_read_input_tokens"] += row.cache_read_input_tokens or 0
    total["cache_creation_input_tokens"] += row.cache_creation_input_tokens or 0
    total["reasoning_output_tokens"] += row.reasoning_output_tokens or 0
    if row.outcome != "aborted":
        total["latency_ms"] += row.latency_ms
        total[BUCKETS[bisect_left(BOUNDS_MS, row.latency_ms)]] += 1
        if row.outcome != "failed" and (row.input_tokens is None or row.output_tokens is None):
            total["unmeasured"] += 1


def percentile(counts: Sequence[int], share: float) -> int | None:
    """The latency (ms) below which `share` of the histogram lies, interpolated geometrically."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0
    for at, count in enumerate(counts):
        if count and below + count >= wanted:
            upper = BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
            lower = BOUNDS_MS[at - 1] if at else 1
            return round(lower * (upper / lower) ** ((wanted - below) / count))
        below += count
    return None


_TYPES: dict[Any, str] = {
    int: "INTEGER NOT NULL",
    int | None: "INTEGER",
    float | None: "REAL",
    str: "TEXT NOT NULL",
    str | None: "TEXT",
}
_SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS attempts (
    {", ".join(f"{column.name} {_TYPES[column.type]}" for column in fields(Attempt))},
    UNIQUE (call_id, attempt)) STRICT""",
    "CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (ts_us)",
    f"""CREATE TABLE IF NOT EXISTS rollup (
    day INTEGER NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in ROLLUP_KEY[1:])},
    {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTERS)},
    PRIMARY KEY ({", ".join(ROLLUP_KEY)})) STRICT, WITHOUT ROWID""",
)
INSERT = (
    f"INSERT INTO attempts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (call_id, attempt) DO NOTHING"
)
ADD_TO_ROLLUP = (
    f"INSERT INTO rollup ({', '.join(ROLLUP_KEY + COUNTERS)}) "
    f"VALUES ({', '.join('?' * len(ROLLUP_KEY + COUNTERS))}) "
    f"ON CONFLICT ({', '.join(ROLLUP_KEY)}) DO UPDATE SET "
    f"{', '.join(f'{name} = rollup.{name} + excluded.{name}' for name in COUNTERS)}"
)
SET_COST = (
    "UPDATE attempts SET cost_nano_usd = ?, cost_source = ?, price_version = ? "
    "WHERE call_id = ? AND attempt = ? AND cost_source = 'unpriced'"
)
cost_of: Callable[[Attempt], tuple[Any, ...]] = attrgetter(
    "cost_nano_usd", "cost_source", "price_version", "call_id", "attempt"
)
Statement = tuple[str, Sequence[Any]]


class RowsRefused(LedgerError):
    """The rows themselves are at fault: an empty column that must not be, a number too large."""


class Database(Protocol):
    """One connection that writes. Each method is one transaction; all raise LedgerError."""

    def write(self, rows: Sequence[Attempt]) -> int:
        """Add rows and their rollup; a key that is there already stays as it is.

        Returns the number of new rows. Raises RowsRefused.
        """
        ...

    def set_costs(self, rows: Sequence[Attempt]) -> int:
        """Give rows that are unpriced the cost they have here; returns how many were."""
        ...

    def execute(self, statements: Iterable[Statement]) -> int:
        """Run statements with `?` for values; returns the number of rows they changed."""
        ...

    def prune(self, days: int) -> bool:
        """Remove some of the rows older than `days`; True while there are more. Rollup stays."""
        ...

    def close(self) -> None: ...


def database_path(root: Path) -> Location:
    """Where the ledger is: FLEET_LEDGER_URL, else `data/ledger.sqlite3` in the workspace."""
    url = os.environ.get("FLEET_LEDGER_URL")
    if not url:
        return root / "data" / "ledger.sqlite3"
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    _backend(DatabaseUrl(url))
    return DatabaseUrl(url)


def connect(location: Location) -> Database:
    """Open a ledger for writing; an older schema is brought forward. Raises LedgerError."""
    if isinstance(location, Path):
        return SqliteDatabase(location)
    return _backend(location).connect(location.url)


def select(location: Location, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Read from a ledger, in SQL that every backend understands (`?` for values).

    Raises LedgerError when there is none or it cannot be read.
    """
    if not isinstance(location, Path):
        return _backend(location).select(location.url, query, values)
    if not location.is_file():
        raise LedgerError(f"There is no ledger at {location} yet: run `demo` or `ask` first.")
    try:
        uri = f"{location.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_S)) as database:
            if _version(database) == SCHEMA_VERSION:
                return database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise _advice(location, "read", error) from None
    connect(location).close()  # brings an older schema forward, or says why it cannot
    return select(location, query, values)


def _backend(location: DatabaseUrl) -> Any:
    # A backend is a module of this folder that is called like its URLs' scheme.
    scheme = location.url.partition(":")[0]
    try:
        return importlib.import_module(f".{scheme}", __package__)
    except ImportError:
        raise LedgerError(
            f"FLEET_LEDGER_URL '{scheme}:…' cannot be used here: set sqlite:///PATH, or add what "
            "is missing (`scaffold add extra ledger_postgresql`, then `uv sync`)."
        ) from None


class SqliteDatabase:
    """A Database in a file, which several processes may write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._patient = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sqlite = sqlite3.connect(
                path, timeout=LOCK_S, isolation_level=None, check_same_thread=False
            )
            _bring_forward(self._sqlite, path)
        except (OSError, sqlite3.Error) as error:
            raise _advice(path, "opened", error) from None

    def write(self, rows: Sequence[Attempt]) -> int:
        with self._transaction() as cursor:
            new = [row for row in rows if cursor.execute(INSERT, values_of(row)).rowcount]
            _add_to_rollup(cursor, fold(new))
            return len(new)

    def set_costs(self, rows: Sequence[Attempt]) -> int:
        with self._transaction() as cursor:
            done = [row for row in rows if cursor.execute(SET_COST, cost_of(row)).rowcount]
            _add_to_rollup(cursor, fold_costs(done))
            return len(done)

    def execute(self, statements: Iterable[Statement]) -> int:
        with self._transaction() as cursor:
            return sum(cursor.execute(query, values).rowcount for query, values in statements)

    def prune(self, days: int) -> bool:
        # Counted from the newest row: a clock that jumps ahead must not empty the ledger.
        query = (
            "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE ts_us < ("
            "SELECT MIN(MAX(ts_us), ?) FROM attempts) - ? ORDER BY ts_us LIMIT 1000)"
        )
        return self.execute([(query, (time.time_ns() // 1000, days * DAY_US))]) > 0

    def close(self) -> None:
        self._sqlite.close()

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Cursor]:
        try:
            cursor = self._sqlite.execute("BEGIN IMMEDIATE")
            yield cursor
            cursor.execute("COMMIT")
        except BaseException as error:
            # Some errors have rolled back by themselves; a broken disk cannot roll back at all.
            with suppress(sqlite3.Error):
                self._sqlite.execute("ROLLBACK")
            if isinstance(error, _AT_FAULT):
                raise RowsRefused(f"The ledger does not take an attempt: {error}.") from None
            if not isinstance(error, sqlite3.Error):
                raise
            self._be_patient(False)
            raise _advice(self._path, "written", error) from None
        self._be_patient(True)

    def _be_patient(self, patient: bool) -> None:
        """Wait long for a lock; but while another process keeps it, hold up nobody."""
        if patient != self._patient:
            self._patient = patient
            self._sqlite.execute(f"PRAGMA busy_timeout = {(LOCK_S if patient else 0.1) * 1000:.0f}")


_AT_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
)
_HINTS = {
    "SQLITE_BUSY": "another process holds it: end that one, or set FLEET_LEDGER_URL",
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_READONLY": "make the file and its folder writable",
    "SQLITE_CANTOPEN": "make the file and its folder accessible",
    "SQLITE_NOTADB": "move the file away, a new one is made; `ledger import` takes exports",
    "SQLITE_CORRUPT": "move the file away, a new one is made; `sqlite3 FILE .recover` saves rows",
}


def _advice(path: Path, what: str, error: Exception) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "")
    hint = next(
        (hint for code, hint in _HINTS.items() if name.startswith(code)), "look at the disk"
    )
    return LedgerError(f"The ledger {path} cannot be {what} ({error}): {hint}.")


def _add_to_rollup(cursor: sqlite3.Cursor, rollup: Rollup) -> None:
    cursor.executemany(ADD_TO_ROLLUP, [(*key, *sums.values()) for key, sums in rollup.items()])


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


def _bring_forward(database: sqlite3.Connection, path: Path) -> None:
    """Make or migrate the schema, in one transaction: a process killed half-way changes nothing."""
    if _version(database) > SCHEMA_VERSION:
        raise LedgerError(f"The ledger {path} was written by a newer workspace: update this one.")
    if _version(database) < SCHEMA_VERSION:
        # Two processes may be here at once; the second waits for the first one's whole migration.
        database.execute("PRAGMA busy_timeout = 600000")
        database.execute("BEGIN IMMEDIATE")
        if _version(database) < SCHEMA_VERSION:
            for statement in _SCHEMA:
                database.execute(statement)
            # Version 1 had no rollup.
            stored = database.execute(f"SELECT {', '.join(COLUMNS)} FROM attempts")
            rows = (Attempt(**dict(zip(COLUMNS, row, strict=True))) for row in stored)
            _add_to_rollup(database.cursor(), fold(rows))
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.execute("COMMIT")
        database.execute(f"PRAGMA busy_timeout = {LOCK_S * 1000}")
    _use_wal(database)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA secure_delete = ON")  # what is erased is not left in the file


def _use_wal(database: sqlite3.Connection) -> None:
    # SQLite does not wait for the lock that the change of mode needs.
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Spill:
    """Rows that the database did not take, as JSON Lines beside it (for other backends: in data/)."""

    def __init__(self, ledger: Location) -> None:
        at = ledger if isinstance(ledger, Path) else find_root() / "data" / "ledger"
        self.path = at.with_suffix(".spill.jsonl")

    def add(self, rows: Iterable[Attempt]) -> None:
        """Append rows; they are on disk when this returns. Raises OSError."""
        text = "".join(to_json(row).decode() + "\n" for row in rows)
        while True:
            with self.path.open("a", encoding="utf-8") as file:
                # The newline ends a line that a killed process left half written.
                file.write("\n" + text)
                file.flush()
                os.fsync(file.fileno())
                written = os.fstat(file.fileno())
            # Whoever imports moves the file away first, perhaps before this was in it: once more,
            # and a row that got in twice is booked once.
            with suppress(FileNotFoundError):
                if os.path.samestat(written, self.path.stat()):
                    return

    def import_into(self, database: Database) -> int:
        """Book every row that was set aside. Raises LedgerError or OSError, with all files left."""
        if self.path.exists():
            self.path.replace(self.path.with_suffix(f".{new_id()}.jsonl"))
        return sum(
            self._import_file(path, database)
            for path in self.path.parent.glob(f"{self.path.stem}.*.jsonl")
        )

    def _import_file(self, path: Path, database: Database) -> int:
        rows, broken = parse_rows(path.read_text("utf-8", "replace").splitlines())
        new = database.write(rows)
        if broken:
            kept = path.replace(path.with_suffix(".broken"))
            log.error("%d lines of %s are no attempts: %s", len(broken), kept, broken[0])
        path.unlink(missing_ok=True)
        return new


def parse_rows(lines: Iterable[str | bytes]) -> tuple[list[Attempt], list[str]]:
    """JSON Lines as attempts, and what is wrong with each line that is none."""
    rows: list[Attempt] = []
    broken: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        try:
            rows.append(_row_type().validate_json(line))
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            where = ".".join(map(str, wrong["loc"]))
            broken.append(f"{line[:80]!r}: {where} {wrong['msg']}")
    return rows, broken


@cache
def _row_type() -> TypeAdapter[Attempt]:
    return TypeAdapter(Attempt)


_Entry = tuple[Sequence[Attempt], asyncio.Future[None]]


class Ledger:
    """The writing side. Leaving the workspace closes it, which waits until all is on disk."""

    def __init__(self, path: Location, settings: LedgerSettings | None = None) -> None:
        self.path = path
        self._database = connect(path)
        self._spill = Spill(path)
        self._spilled = True
        self._days = settings.retention_days if settings else 0
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._closed = False
        # A daemon: a program that dies must not hang on its ledger; `close` is the orderly way.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    async def write(self, rows: Sequence[Attempt]) -> None:
        """Return once the rows are on disk: committed, or in the spill file with a warning.

        Raises LedgerError when neither worked (the log then has the rows), or for a wrong row.
        """
        if not rows:
            return
        self.expect_open()
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((rows, saved))
        await saved

    def expect_open(self) -> None:
        """Raises LedgerError once it is closed: what is asked now could not be booked."""
        if self._closed:
            raise LedgerError(f"The ledger {self.path} is closed: open the workspace again.")

    def close(self) -> None:
        """Commit what is waiting and end the thread."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._import_spilled()
        pruning, prune_again = self._days > 0, time.monotonic() + 86_400
        open_ = True
        while open_:
            try:
                entry = self._queue.get(block=not pruning)
            except queue.Empty:
                pruning = self._prune()
                continue
            batch, open_ = self._batch(entry)
            self._commit(batch)
            if self._days and time.monotonic() > prune_again:
                pruning, prune_again = True, time.monotonic() + 86_400
        self._database.close()

    def _batch(self, entry: _Entry | None) -> tuple[list[_Entry], bool]:
        """Everything that waits, and whether the ledger stays open."""
        batch: list[_Entry] = []
        while entry is not None:
            batch.append(entry)
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Entry]) -> None:
        error = self._save([row for rows, _ in batch for row in rows])
        if isinstance(error, RowsRefused) and len(batch) > 1:
            for entry in batch:
                self._commit([entry])
        else:
            _tell(batch, error)

    def _save(self, rows: Sequence[Attempt]) -> LedgerError | None:
        try:
            self._database.write(rows)
        except RowsRefused as error:
            return error
        except Exception as error:  # whatever it is: callers wait for this thread
            return self._set_aside(rows, error)
        if self._spilled:
            self._import_spilled()
        return None

    def _set_aside(self, rows: Sequence[Attempt], reason: Exception) -> LedgerError | None:
        try:
            self._spill.add(rows)
        except OSError as error:
            for row in rows:
                log.error("not in the ledger: %s", to_json(row).decode())
            return LedgerError(f"{reason} Nor can {self._spill.path} be written ({error}).")
        if not self._spilled:
            log.warning("%s Until then attempts go to %s.", reason, self._spill.path)
        self._spilled = True
        return None

    def _import_spilled(self) -> None:
        try:
            if new := self._spill.import_into(self._database):
                log.warning("%d attempts that were set aside are in the ledger now", new)
            self._spilled = False
        except (LedgerError, OSError) as error:
            log.warning("attempts set aside at %s wait: %s", self._spill.path, error)

    def _prune(self) -> bool:
        try:
            return self._database.prune(self._days)
        except LedgerError as error:
            log.warning("old attempts stay for now: %s", error)
            return False


def _tell(batch: list[_Entry], error: LedgerError | None) -> None:
    """Wake the callers: one wake-up of each event loop, however many of its callers wait."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, saved in batch:
        waiting.setdefault(saved.get_loop(), []).append(saved)
    for loop, futures in waiting.items():
        # A closed loop: nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: list[asyncio.Future[None]], error: LedgerError | None) -> None:
    for saved in futures:
        if saved.done():
            continue
        if error:
            saved.set_exception(error)
        else:
            saved.set_result(None)
