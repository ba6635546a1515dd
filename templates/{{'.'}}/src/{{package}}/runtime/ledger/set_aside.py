"""Rows that releases up to v0.7 set aside while the ledger could not be written."""

import logging
from contextlib import closing
from pathlib import Path

from ..errors import LedgerError
from ..fleet import find_root
from .location import Database, Location, attempts
from .sqlite import SqliteDatabase

log = logging.getLogger(__name__)


def spill_of(ledger: Location) -> Path:
    """Return the path of the file beside a ledger, of a server the one in data/."""
    beside = ledger if isinstance(ledger, Path) else find_root() / "data" / "ledger"
    return beside.with_suffix(".spill.sqlite3")


def bring_in(ledger: Location, database: Database) -> None:
    """Move the rows into the ledger. Where that fails they stay, and the log says so."""
    spill = spill_of(ledger)
    try:
        new = _move(spill, database) if spill.exists() else 0
    except LedgerError as error:
        log.warning("Attempts set aside in %s wait for another start: %s", spill, error)
        return
    if new:
        log.warning("%d attempts that were set aside are in the ledger now.", new)
    for file in sorted(spill.parent.glob(f"{spill.stem}*.jsonl")):
        log.warning(
            "An earlier release set %s aside: add the extra ledger_tools, `ledger import %s`, then "
            "remove it.",
            file,
            file,
        )


def _move(spill: Path, database: Database) -> int:
    # The lock keeps an older program from adding rows that would be deleted unread.
    with closing(SqliteDatabase(spill)) as aside, aside.transaction() as execute:
        rows = attempts(spill, "")
        new = database.write(rows, judged=[row for row in rows if row.outcome != "aborted"])
        execute("DELETE FROM attempts", ())
    return new
