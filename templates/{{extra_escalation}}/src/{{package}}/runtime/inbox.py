"""The questions that wait for a person, in SQLite beside the ledger.

A ticket is one question, however often it is asked: while it is open, the same question of
another request joins it. It is open until it is answered, closed or expired.
"""

import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from .errors import FleetError, LedgerError, Unanswered
from .ledger.store import database_path

STATES = ("open", "answered", "closed", "expired")
DAY_US = 24 * 3600 * 1_000_000


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One question, with everything a person needs to answer it. Times are UTC microseconds.

    `details` is JSON: the call (messages, parameters, source), its attempts and its labels.
    `output_type` is `module:name` of the type an answer has to fit, "" for text. `asked` counts
    the requests that wait. `told_us` is when a notification of it went out.
    """

    id: str
    fingerprint: str
    state: str = "open"
    opened_us: int
    expires_us: int
    asked: int = 1
    stage: str
    question: str
    details: str
    output_type: str = ""
    answer: str | None = None
    resolved_by: str | None = None
    resolved_us: int | None = None
    told_us: int | None = None


COLUMNS = tuple(field.name for field in fields(Ticket))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    opened_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, asked INTEGER NOT NULL,
    stage TEXT NOT NULL, question TEXT NOT NULL, details TEXT NOT NULL,
    output_type TEXT NOT NULL, answer TEXT, resolved_by TEXT, resolved_us INTEGER, told_us INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS open_once ON tickets (fingerprint) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS by_state ON tickets (state, opened_us);
CREATE TABLE IF NOT EXISTS askers (
    request_id TEXT, fingerprint TEXT, ticket TEXT, PRIMARY KEY (request_id, fingerprint)
) STRICT;
PRAGMA user_version = 1;
"""


class Tickets:
    """The table. A method is one transaction; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        ledger = Path(str(database_path(root)))
        # A ledger that is no file is a server; tickets stay with the workspace then.
        folder = ledger.parent if ledger.parent.is_dir() else root / "data"
        self.path = folder / "escalations.sqlite3"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path} cannot be opened ({error}); free the file.") from None

    def close(self) -> None:
        self._database.close()

    def open(self, ticket: Ticket, request_id: str, max_open: int) -> Ticket:
        """Store a ticket, or join the open one with the same question. Raises Unanswered."""
        with self._transaction():
            found = self._one("fingerprint = ? AND state = 'open'", ticket.fingerprint)
            if found is None:
                self._refuse_beyond(max_open)
                marks = ", ".join("?" * len(COLUMNS))
                self._database.execute(f"INSERT INTO tickets VALUES ({marks})", astuple(ticket))
            joined = self._database.execute(
                "INSERT INTO askers VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET ticket = ?3 "
                "WHERE ticket <> ?3",
                (request_id, ticket.fingerprint, (found or ticket).id),
            )
            if found and joined.rowcount:
                self._database.execute(
                    "UPDATE tickets SET asked = asked + 1 WHERE id = ?", (found.id,)
                )
        return found or ticket

    def of_request(self, request_id: str, fingerprint: str) -> Ticket | None:
        """The ticket a request got for a question."""
        asked = "SELECT ticket FROM askers WHERE request_id = ? AND fingerprint = ?"
        return self._one(f"id = ({asked})", request_id, fingerprint)

    def get(self, id_: str) -> Ticket:
        """A ticket by its id or the end of it. Raises FleetError."""
        found = self._rows("id LIKE ? LIMIT 2", f"%{id_}") if id_ else []
        if len(found) != 1:
            said = "fits several tickets" if found else "is no ticket"
            raise FleetError(f"'{id_}' {said}: see `escalations list --state all`.")
        return found[0]

    def select(self, state: str = "open", limit: int = -1) -> list[Ticket]:
        """Tickets in a state, or in "all" of them, the oldest first."""
        return self._rows("? IN (state, 'all') ORDER BY opened_us, id LIMIT ?", state, limit)

    def untold(self) -> list[Ticket]:
        """Open tickets of which no notification went out."""
        return self._rows("state = 'open' AND told_us IS NULL ORDER BY opened_us")

    def told(self, tickets: Sequence[Ticket]) -> None:
        marked = [(now_us(), ticket.id) for ticket in tickets]
        with self._transaction():
            self._database.executemany("UPDATE tickets SET told_us = ? WHERE id = ?", marked)

    def resolve(self, id_: str, state: str, by: str, answer: str | None = None) -> Ticket:
        """Answer or close an open ticket. Raises FleetError if somebody was faster."""
        with self._transaction():
            done = self._database.execute(
                "UPDATE tickets SET state = ?, resolved_by = ?, answer = ?, resolved_us = ? "
                "WHERE id = ? AND state = 'open'",
                (state, by, answer, now_us(), id_),
            )
        ticket = self.get(id_)
        if not done.rowcount:
            raise FleetError(f"{id_} is {ticket.state} already, by {ticket.resolved_by}.")
        return ticket

    def tidy(self, keep_days: float) -> None:
        """Expire what was open for too long; delete what was resolved so many days ago."""
        now = now_us()
        with self._transaction():
            self._database.execute(
                "UPDATE tickets SET state = 'expired', resolved_by = 'expiry', resolved_us = ?1 "
                "WHERE state = 'open' AND expires_us < ?1",
                (now,),
            )
            long_ago = now - int(keep_days * DAY_US)
            self._database.execute("DELETE FROM tickets WHERE resolved_us < ?", (long_ago,))
            self._database.execute(
                "DELETE FROM askers WHERE ticket NOT IN (SELECT id FROM tickets)"
            )

    def _refuse_beyond(self, max_open: int) -> None:
        counted = self._database.execute("SELECT count(*) FROM tickets WHERE state = 'open'")
        if (waiting := counted.fetchone()[0]) >= max_open:
            raise Unanswered(
                "inbox_full",
                f"{waiting} questions wait for a person already: answer some, "
                "`escalations close --all`, or raise max_open under [escalation].",
            )

    def _one(self, where: str, *values: object) -> Ticket | None:
        return next(iter(self._rows(f"{where} LIMIT 1", *values)), None)

    def _rows(self, where: str, *values: object) -> list[Ticket]:
        columns = ", ".join(COLUMNS)
        rows = self._database.execute(f"SELECT {columns} FROM tickets WHERE {where}", values)
        return [Ticket(**dict(zip(COLUMNS, row, strict=True))) for row in rows]

    @contextmanager
    def _transaction(self) -> Generator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} was not written: {error}.") from None
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
