"""The questions that wait for a person, in SQLite beside the ledger.

A ticket is one question, however often it is asked: while it is open, the same question of
another request joins it. It is open until it is answered, closed or expired.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import Field

from . import fleet
from .errors import FleetError, LedgerError, Unanswered
from .ledger.attempt import new_id
from .ledger.location import ledger_file
from .ledger.sqlite import file_id
from .private import private_file
from .text import sanitize

log = logging.getLogger(__name__)

STATES = ("open", "answered", "closed", "expired")
HOUR_US = 3600 * 1_000_000


def now_us() -> int:
    return time.time_ns() // 1000


class EscalationSettings(fleet.Settings):
    """The table `[escalation]` of fleet.toml."""

    max_open: int = Field(default=200, ge=1)
    expires_h: float = Field(default=72, gt=0)
    keep_days: float = Field(default=30, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One question, with everything a person needs to answer it. Times are UTC microseconds.

    `details` is JSON: the call with its attempts, and under `settled` what its run got before.
    `output_type` is `module:name` of the type an answer has to fit, "" for text. `asked` counts
    the requests that wait. `told_us` is when a notification of it went out.
    """

    id: str = field(default_factory=new_id)
    fingerprint: str
    state: str = "open"
    opened_us: int = field(default_factory=now_us)
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


_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON; -- what is deleted is not left in the file
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    opened_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, asked INTEGER NOT NULL,
    stage TEXT NOT NULL, question TEXT NOT NULL, details TEXT NOT NULL,
    output_type TEXT NOT NULL, answer TEXT, resolved_by TEXT, resolved_us INTEGER, told_us INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS open_once ON tickets (fingerprint) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS askers (
    request_id TEXT, fingerprint TEXT, ticket TEXT, PRIMARY KEY (request_id, fingerprint)
) STRICT;
CREATE TRIGGER IF NOT EXISTS forget_askers AFTER DELETE ON tickets
BEGIN DELETE FROM askers WHERE ticket = OLD.id; END;
"""
# The same question joins the ticket that is open, as one more who asks.
_OPEN = f"""
INSERT INTO tickets SELECT {", ".join(f":{column.name}" for column in fields(Ticket))}
WHERE :max_open > (SELECT count(*) FROM tickets WHERE state = 'open' AND fingerprint <> :fingerprint)
ON CONFLICT (fingerprint) WHERE state = 'open' DO UPDATE SET asked = asked + NOT EXISTS (
    SELECT 1 FROM askers WHERE request_id = :request AND ticket = tickets.id)
RETURNING *
"""
_THESE = "id IN (SELECT value FROM json_each(?))"


class Tickets:
    """The table, which several processes may use at once. All it does may raise LedgerError."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = fleet.load(root / "fleet.toml").section("escalation", EscalationSettings)
        ledger = ledger_file(root)
        # Where the ledger is a server, tickets stay with the workspace.
        folder = ledger.parent if ledger and ledger.parent.is_dir() else root / "data"
        self.path = folder / "escalations.sqlite3"
        self._open()
        self.tidy()

    def _open(self) -> None:
        try:
            private_file(self.path)
            self._database = sqlite3.connect(self.path, timeout=30)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path} cannot be opened ({error})", "free the file") from None
        try:
            self._database.row_factory = sqlite3.Row
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self.close()
            raise LedgerError(f"{self.path} cannot be opened ({error})", "free the file") from None
        self._file = file_id(self.path)

    def close(self) -> None:
        self._database.close()

    def open(self, ticket: Ticket, request_id: str) -> Ticket:
        """Store a ticket, or join the open one with the same question. Raises Unanswered."""
        self.tidy()
        more = {"request": request_id, "max_open": self.settings.max_open}
        found = self.run(_OPEN, asdict(ticket) | more)
        if not found:
            raise Unanswered(
                "inbox_full",
                f"{self.settings.max_open} questions wait for a person already",
                "answer some, `escalations close --all`, or raise max_open under [escalation]",
            )
        asker = (request_id, ticket.fingerprint, found[0].id)
        self.run("INSERT OR REPLACE INTO askers VALUES (?, ?, ?)", asker)
        return found[0]

    def settle(self, id_: str, results: Mapping[str, str]) -> None:
        """Keep with a ticket what its requests got elsewhere, by fingerprint."""
        more = json.dumps({"settled": dict(results)})
        self.run("UPDATE tickets SET details = json_patch(details, ?) WHERE id = ?", (more, id_))

    def of_request(self, request_id: str) -> list[Ticket]:
        """Return the tickets that a request waits for, or has an answer to."""
        asked = "id IN (SELECT ticket FROM askers WHERE request_id = ?)"
        live = "(state = 'answered' OR (state = 'open' AND expires_us > ?))"
        return self.run(f"SELECT * FROM tickets WHERE {asked} AND {live}", (request_id, now_us()))

    def get(self, id_: str) -> Ticket:
        """Return a ticket by its id or the end of it. Raises FleetError."""
        query = "SELECT * FROM tickets WHERE substr(id, -length(?)) = ? LIMIT 2"
        found = self.run(query, (id_, id_))
        if len(found) != 1:
            said = "fits several tickets" if found else "is not a ticket"
            raise FleetError(f"'{id_}' {said}", "see `escalations list --state all`")
        return found[0]

    def select(self, state: str = "open") -> list[Ticket]:
        """Return tickets in a state, or in "all" of them, the oldest first."""
        query = "SELECT * FROM tickets WHERE ? IN (state, 'all') ORDER BY opened_us, id"
        return self.run(query, (state,))

    def resolve(
        self,
        tickets: Sequence[Ticket],
        state: str,
        by: str,
        answer: str | None = None,
        *,
        unrecorded: bool = False,
    ) -> list[Ticket]:
        """Answer or close those that are open still; return them. Raises FleetError where none is.

        `unrecorded`: the answer is yet to be written to the ledger, see `note_recorded`.
        """
        self.tidy()
        ids = json.dumps([ticket.id for ticket in tickets])
        done = self.run(
            "UPDATE tickets SET state = ?, resolved_by = ?, answer = ?, resolved_us = ?, "
            "details = iif(?, json_set(details, '$.unbooked', 1), details) "
            f"WHERE state = 'open' AND {_THESE} RETURNING *",
            (state, by, answer, now_us(), unrecorded, ids),
        )
        if tickets and not done:
            late = self.get(tickets[0].id)
            raise FleetError(f"{late.id} is {late.state} already, by {late.resolved_by}")
        return done

    def erase(self, user_ref: str) -> list[Ticket]:
        """Delete what a user asked, in whatever state; return it."""
        asked = "json_extract(details, '$.labels.user_ref') = ?"
        erased = self.run(f"DELETE FROM tickets WHERE {asked} RETURNING *", (sanitize(user_ref),))
        # What was written lately is in the log beside the file as well, while anybody has it open.
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return erased

    def find_unrecorded(self) -> list[Ticket]:
        """Return those that a person answered, and whose answer may not be in the ledger yet."""
        return self.run("SELECT * FROM tickets WHERE json_extract(details, '$.unbooked')", ())

    def note_recorded(self, tickets: Sequence[Ticket]) -> None:
        """Note that the answers of these are in the ledger."""
        ids = json.dumps([ticket.id for ticket in tickets])
        done = "details = json_remove(details, '$.unbooked')"
        self.run(f"UPDATE tickets SET {done} WHERE {_THESE}", (ids,))

    def tidy(self) -> None:
        """Expire what was open for too long; delete what was resolved `keep_days` ago."""
        now = now_us()
        expired = "state = 'expired', resolved_by = 'expiry', resolved_us = ?"
        self.run(
            f"UPDATE tickets SET {expired} WHERE state = 'open' AND expires_us < ?", (now, now)
        )
        long_ago = now - int(self.settings.keep_days * 24 * HOUR_US)
        self.run("DELETE FROM tickets WHERE resolved_us < ?", (long_ago,))

    def run(self, statement: str, values: Any) -> list[Ticket]:
        """Commit one statement; return the tickets it gives."""
        if file_id(self.path) != self._file:
            log.warning("%s was deleted or replaced: its questions are gone with it.", self.path)
            self.close()
            self._file = None  # closed, even if the same file comes back before it is opened
            self._open()
        try:
            with self._database:
                return [Ticket(**row) for row in self._database.execute(statement, values)]
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} cannot be used ({error})") from None
