"""The ledger in PostgreSQL, for workspaces on several machines.

Attempts lie in one partition per day, so that old days are dropped and not deleted. Each writer
adds to rollup rows of its own: a row that all of them share is where such ledgers deadlock.
"""

import re
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, LiteralString, cast

import psycopg
from psycopg import errors
from psycopg.types.json import Json

from ..errors import LedgerError
from .attempt import COLUMNS, DAY_US, Attempt, RowsRefused, values_of
from .rollup import COUNTERS, ROLLUP_KEY, Execute, Statement, add_to_rollup, set_verdicts
from .sqlite import SCHEMA_VERSION

CONNECT_S = 5
# A server that hangs must not hang the callers: rows that it does not take are set aside, and a
# call goes on without knowing what the month has cost.
WRITE_S, READ_S = 20, 30
SCHEMA_LOCK = 0x1ED6E4
"""The advisory lock of whoever changes tables; writers hold one of (WRITER_LOCK, number)."""
WRITER_LOCK = 0x1ED6E5
UNUSABLE = (psycopg.OperationalError, psycopg.InterfaceError)

_TYPES: dict[Any, str] = {
    int: "BIGINT NOT NULL",
    int | None: "BIGINT",
    float | None: "DOUBLE PRECISION",
    str: "TEXT NOT NULL",
    str | None: "TEXT",
}
_SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS attempts (day BIGINT NOT NULL,
    {", ".join(f"{column.name} {_TYPES[column.type]}" for column in fields(Attempt))},
    UNIQUE (call_id, attempt, day)) PARTITION BY RANGE (day)""",
    "CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (ts_us)",
    f"""CREATE TABLE IF NOT EXISTS rollup (
    day BIGINT NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in ROLLUP_KEY[1:])},
    {", ".join(f"{name} BIGINT NOT NULL" for name in COUNTERS)},
    PRIMARY KEY ({", ".join(ROLLUP_KEY)}))""",
    "CREATE TABLE IF NOT EXISTS ledger_schema (version BIGINT NOT NULL)",
    f"""INSERT INTO ledger_schema SELECT {SCHEMA_VERSION}
    WHERE NOT EXISTS (SELECT 1 FROM ledger_schema)""",
)
# What a statement of WITH changes is done whether or not the others look at it.
_WRITE = f"""WITH added AS (
    INSERT INTO attempts (day, {", ".join(COLUMNS)})
    SELECT day, {", ".join(COLUMNS)} FROM json_populate_recordset(NULL::attempts, ?)
    ON CONFLICT DO NOTHING RETURNING *),
    counted AS ({add_to_rollup("added")})
    SELECT COUNT(*) FROM added"""


@dataclass(frozen=True, slots=True)
class Server:
    """A database's URL. Shown without its password; both methods raise LedgerError."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return re.sub(r"//.*@", "//", self.url.partition("?")[0])

    def connect(self) -> "Database":
        """Open for writing; tables are made where there are none."""
        return Database(self)

    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read, with `?` for values; a sum of integers comes as an integer."""
        with _ledger_errors(self, "read"), closing(_connect(self, READ_S)) as connection:
            rows = connection.execute(_sql(query), values).fetchall()
        return [tuple(map(_plain, row)) for row in rows]


class Database:
    """A `location.Database`. A lost connection is opened again by the next call."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._days: set[int] = set()
        self.writer = ""
        with _ledger_errors(server, "opened"):
            self._connection = self._open()

    def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> int:
        # In the order of their keys, so that two writers of the same rows wait for each other in
        # the same order.
        rows = sorted([*rows, *judged], key=attrgetter("call_id", "attempt"))
        for day in {row.ts_us // DAY_US for row in rows} - self._days:
            self._add_partition(day)
        with self._cursor() as cursor:
            cursor.execute(_sql(_WRITE), [Json([*map(_fields_of, rows)]), self.writer])
            [(new,)] = cursor.fetchall()
            run = _runs(cursor)
            set_verdicts(run, self.writer, judged, with_day=True)
            for query, values in also:
                run(query, values)
        return new

    @contextmanager
    def transaction(self) -> Generator[Execute]:
        with self._cursor() as cursor:
            yield _runs(cursor)

    def expect_writable(self) -> None:
        with self._cursor() as cursor:
            cursor.execute("INSERT INTO attempts SELECT * FROM attempts WHERE false")

    def prune(self, days: int) -> bool:
        """Drop one day that is too old, counted from the newest (see SQLite's)."""
        with self._cursor() as cursor:
            # Only one process prunes, and it rather stops than makes writers wait.
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            if not _try_lock(cursor, "SELECT pg_try_advisory_xact_lock(%s)", SCHEMA_LOCK):
                return False
            cursor.execute(
                "SELECT substr(relname, 10)::bigint FROM pg_class JOIN pg_inherits ON inhrelid = oid "
                "WHERE inhparent = 'attempts'::regclass ORDER BY 1"
            )
            there = [day for (day,) in cursor.fetchall()]
            today = time.time_ns() // 1000 // DAY_US
            old = [day for day in there if day < min(today, max(there)) - days]
            for day in old[:1]:
                cursor.execute(_sql(f"DROP TABLE attempts_{day}"))
                self._days.discard(day)
        return len(old) > 1

    def close(self) -> None:
        self._connection.close()

    def _open(self) -> psycopg.Connection[Any]:
        connection = _connect(self._server, WRITE_S)
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            for statement in _SCHEMA:
                connection.execute(_sql(statement))
            [version] = connection.execute("SELECT version FROM ledger_schema").fetchone() or [0]
        if version > SCHEMA_VERSION:
            raise LedgerError("The ledger was written by a newer workspace", "update this one")
        self.writer = _claim_writer(connection)
        self._days.clear()
        return connection

    def _add_partition(self, day: int) -> None:
        # Attached, not created as a partition: that would lock every writer out.
        name = f"attempts_{day}"
        with self._cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone() == (None,):
                cursor.execute(_sql(f"CREATE TABLE {name} (LIKE attempts INCLUDING ALL)"))
                bounds = f"FOR VALUES FROM ({day}) TO ({day + 1})"
                cursor.execute(_sql(f"ALTER TABLE attempts ATTACH PARTITION {name} {bounds}"))
        self._days.add(day)

    @contextmanager
    def _cursor(self) -> Generator[psycopg.Cursor[Any]]:
        with _ledger_errors(self._server, "written"):
            if self._connection.closed:
                self._connection = self._open()
            try:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    yield cursor
            except errors.CheckViolation:
                self._days.clear()
                raise LedgerError("A day was dropped from the ledger; it is made anew") from None
            except (*UNUSABLE, errors.UndefinedTable):  # which is made anew with the connection
                with suppress(psycopg.Error):
                    self._connection.close()
                raise


def _runs(cursor: psycopg.Cursor[Any]) -> Execute:
    return lambda query, values: cursor.execute(_sql(query), _strip_nul(values)).rowcount


def _claim_writer(connection: psycopg.Connection[Any]) -> str:
    """Hold the first free number while the connection lives: rollup rows stay few."""
    with connection.cursor() as cursor:
        number = 0
        while not _try_lock(cursor, "SELECT pg_try_advisory_lock(%s, %s)", WRITER_LOCK, number):
            number += 1
    return f"writer-{number}"


def _try_lock(cursor: psycopg.Cursor[Any], query: LiteralString, *values: int) -> bool:
    return cursor.execute(query, values).fetchone() == (True,)


def _connect(server: Server, statement_s: float) -> psycopg.Connection[Any]:
    connection = psycopg.connect(
        server.url, autocommit=True, connect_timeout=CONNECT_S, tcp_user_timeout=1000 * CONNECT_S
    )
    limit = f"{statement_s * 1000:.0f}"
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [limit])
    return connection


@contextmanager
def _ledger_errors(server: Server, what: str) -> Generator[None]:
    """Raise psycopg's errors as LedgerError; the password never shows."""
    try:
        yield
    except errors.UndefinedTable:
        raise LedgerError(
            f"The ledger {server} does not exist yet", "run `demo` or `ask`"
        ) from None
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        raise RowsRefused(f"The ledger does not take an attempt ({_line(error)})") from None
    except psycopg.Error as error:
        raise LedgerError(f"The ledger {server} cannot be {what}: {_line(error)}") from None


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _fields_of(row: Attempt) -> dict[str, Any]:
    values = dict(zip(COLUMNS, _strip_nul(values_of(row)), strict=True))
    return {"day": row.ts_us // DAY_US, **values}


def _strip_nul(values: Sequence[Any]) -> list[Any]:
    # PostgreSQL's text has no NUL character; a request's reference may.
    return [value.replace("\0", "") if isinstance(value, str) else value for value in values]


def _sql(query: str) -> LiteralString:
    # Every text is this package's own; values go as parameters.
    return cast("LiteralString", query.replace("%", "%%").replace("?", "%s"))


def _plain(value: Any) -> Any:
    return (
        int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
    )
