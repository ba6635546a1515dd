"""The ledger: one row per attempt, in SQLite, acknowledged only after commit.

One thread writes; whoever calls `write` waits for the commit, so many callers share one
transaction. Names of columns follow OpenTelemetry's conventions for generative AI.
"""

import asyncio
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ..errors import LedgerError

SCHEMA_VERSION = 1


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


COLUMNS = tuple(field.name for field in fields(Attempt))
_INSERT = f"INSERT INTO attempts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    ts_us INTEGER NOT NULL, latency_ms INTEGER NOT NULL, ttft_ms INTEGER,
    call_id TEXT NOT NULL, run_id TEXT NOT NULL, parent_id TEXT, operation TEXT NOT NULL,
    provider TEXT NOT NULL, deployment TEXT, request_model TEXT NOT NULL, response_model TEXT,
    provider_request_id TEXT, service_tier TEXT, agent TEXT, task_type TEXT NOT NULL,
    pipeline TEXT, stage TEXT NOT NULL, chain TEXT NOT NULL, attempt INTEGER NOT NULL,
    fallback_from TEXT, outcome TEXT NOT NULL, error_type TEXT, quality REAL,
    quality_source TEXT, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER,
    reasoning_output_tokens INTEGER, other_units TEXT, cost_nano_usd INTEGER,
    cost_source TEXT NOT NULL, price_version TEXT, prompt_version TEXT, config_version TEXT,
    environment TEXT NOT NULL, user_ref TEXT, tags TEXT NOT NULL,
    UNIQUE (call_id, attempt)
) STRICT;
CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (ts_us);
"""

_Batch = list[tuple[Sequence[Attempt], asyncio.Future[None]]]


def database_path(root: Path) -> Path:
    """Where the ledger is: FLEET_LEDGER_URL (`sqlite:///PATH`), else `data/ledger.sqlite3`."""
    url = os.environ.get("FLEET_LEDGER_URL")
    if url is None:
        return root / "data" / "ledger.sqlite3"
    if not url.startswith("sqlite:///"):
        raise LedgerError(f"FLEET_LEDGER_URL '{url.split(':')[0]}:…' must start with sqlite:///.")
    return Path(url.removeprefix("sqlite:///"))


class Ledger:
    """The writing side. Use `async with`; leaving it waits until everything is on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = _open(path)
        self._queue: queue.SimpleQueue[tuple[Sequence[Attempt], asyncio.Future[None]] | None]
        self._queue = queue.SimpleQueue()
        # A daemon: a program that dies must not hang on its ledger; `close` is the orderly way.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    async def write(self, rows: Sequence[Attempt]) -> None:
        """Return once the rows are committed. Raises LedgerError if they could not be."""
        if not rows:
            return
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((rows, committed))
        await committed

    def close(self) -> None:
        """Commit what is waiting and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch: _Batch = []
            entry = self._queue.get()
            while True:
                open_ = open_ and entry is not None
                if entry is not None:
                    batch.append(entry)
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
            _tell(batch, self._commit(batch))
        self._database.close()

    def _commit(self, batch: _Batch) -> LedgerError | None:
        try:
            with self._database:
                self._database.executemany(
                    _INSERT, [astuple(row) for rows, _ in batch for row in rows]
                )
        except sqlite3.Error as error:
            return LedgerError(f"The ledger {self.path} was not written: {error}.")
        return None


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=30, check_same_thread=False)
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger {path} was written by a newer workspace: update this one."
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(
            f"The ledger {path} cannot be opened ({error}); free the file, or set FLEET_LEDGER_URL."
        ) from None
    return database


def _tell(batch: _Batch, error: LedgerError | None) -> None:
    for _, committed in batch:
        try:
            committed.get_loop().call_soon_threadsafe(_settle, committed, error)
        except RuntimeError:
            continue  # the caller's loop is closed: nobody waits any more


def _settle(committed: asyncio.Future[None], error: LedgerError | None) -> None:
    if committed.done():
        return
    if error:
        committed.set_exception(error)
    else:
        committed.set_result(None)
