"""`costs reprice`: give attempts a cost that had no price when they were made."""

import argparse
import sys

from ..configuration import ledger_location
from ..runtime.fleet import find_root
from ..runtime.ledger.report_text import dollars, table

HELP = "price the attempts that had no price, at the prices of their day"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only tell what would change")


def run(options: argparse.Namespace) -> int:
    """Exit status 1 while attempts stay unpriced."""
    from ..configuration import load_prices
    from ..runtime.ledger.reprice import reprice

    root = find_root()
    told = reprice(
        ledger_location(root), load_prices(root), dry_run=options.dry_run, progress=_progress
    )
    rows = [
        [model, told.priced[model], dollars(told.nano_usd[model]), told.unpriced[model]]
        for model in sorted(told.priced.keys() | told.unpriced.keys())
    ]
    if not rows:
        print("Every attempt has a price.")
        return 0
    verb = "would be priced" if options.dry_run else "priced"
    print(table(["model", verb, "cost", "still unpriced"], rows))
    if told.unpriced:
        print("\nGive the others a price in prices.toml, then run this again.")
    return 1 if told.unpriced else 0


def _progress(rows: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{rows} attempts", end="", file=sys.stderr)
