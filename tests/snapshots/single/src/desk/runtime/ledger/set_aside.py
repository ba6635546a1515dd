"""Rows that releases up to v0.7 set aside while the ledger could not be written."""

from contextlib import closing
from pathlib import Path

from ..errors import LedgerError
from ..fleet import find_root
from .location import Database, Location, attempts
from .sqlite import SqliteDatabase


def spill_of(ledger: Location) -> Path:
    """Return the path of the file beside a ledger, of a server the one in data/."""
    beside = ledger if isinstance(ledger, Path) else find_root() / "data" / "ledger"
    return beside.with_suffix(".spill.sqlite3")


def bring_in(ledger: Location, database: Database) -> int:
    """Move the rows into the ledger, and return how many are new. Raises LedgerError."""
    spill, new = spill_of(ledger), 0
    if spill.exists():
        # The lock keeps an older program from adding rows that would be deleted unread.
        with closing(SqliteDatabase(spill)) as aside, aside.transaction() as execute:
            rows = attempts(spill, "")
            new = database.write(rows, judged=[row for row in rows if row.outcome != "aborted"])
            execute("DELETE FROM attempts", ())
    if files := sorted(spill.parent.glob(f"{spill.stem}*.jsonl")):
        raise LedgerError(
            f"An earlier release set {files[0]} aside: add the extra ledger_tools, "
            f"`ledger import {files[0]}`, then remove it."
        )
    return new
