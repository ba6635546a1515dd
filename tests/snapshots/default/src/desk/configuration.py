"""What commands read of this workspace without opening it.

`wiring` is imported when it is needed: `--help` works where a module of the team does not.
"""

from pathlib import Path

from .runtime.ledger.location import Location, database_path


def ledger_location(root: Path) -> Location:
    """Return where the ledger is. Raises LedgerError where its URL cannot be used."""
    from . import wiring

    return database_path(root, wiring.LEDGERS)
