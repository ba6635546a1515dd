"""Attempts that the ledger did not take before the program ended: they wait in a file beside it."""

import json
import logging
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from ..errors import LedgerError
from ..fleet import find_root
from .attempt import Attempt, RowsRefused
from .location import Database, Location, attempts
from .sqlite import SqliteDatabase

log = logging.getLogger(__name__)


def spill_of(ledger: Location) -> Path:
    """Return where rows wait that the ledger did not take before the program ended."""
    beside = ledger if isinstance(ledger, Path) else find_root() / "data" / "ledger"
    return beside.with_suffix(".spill.sqlite3")


def set_aside(ledger: Location, rows: Sequence[Attempt]) -> None:
    """Keep what the ledger did not take: beside it, else in the log."""
    if not rows:
        return
    left = list(rows)
    # Exceptions of any kind: a full disk has room for neither.
    with suppress(Exception), closing(SqliteDatabase(spill_of(ledger))) as aside:
        for row in rows:
            with suppress(RowsRefused):  # a wrong row costs no other one its place
                aside.write([row])
                left.remove(row)
    for row in left:
        log.error("not in the ledger: %s", json.dumps(asdict(row), default=str))
    if kept := len(rows) - len(left):
        log.warning("%d attempts wait beside the ledger for the next start", kept)


def bring_in(ledger: Location, database: Database) -> int:
    """Move rows that were set aside into the ledger; return how many are new.

    Raises LedgerError.
    """
    spill, new = spill_of(ledger), 0
    if spill.exists():
        # The lock keeps an older program from adding rows that would be deleted unread.
        with closing(SqliteDatabase(spill)) as aside, aside.transaction() as execute:
            rows = attempts(spill, "")
            new = database.write(rows, judged=[row for row in rows if row.outcome != "aborted"])
            execute("DELETE FROM attempts", ())
    if files := sorted(spill.parent.glob(f"{spill.stem}*.jsonl")):
        raise LedgerError(
            f"An earlier release set {files[0]} aside",
            f"add the extra ledger_tools, `ledger import {files[0]}`, then remove it",
        )
    return new
