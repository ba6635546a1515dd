"""`costs reprice`: give attempts a cost that had no price when they were made."""

import argparse
import sys

from ..configuration import ledger_location
from ..runtime.fleet import find_root, load
from ..runtime.ledger.report_text import dollars, table

HELP = "price the attempts that had no price, at the prices of their day"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only tell what would change")


def run(options: argparse.Namespace) -> int:
    """Price them; exit status 1 while attempts stay unpriced."""
    from ..configuration import load_prices
    from ..runtime.ledger.reprice import reprice

    root = find_root()
    prices = load_prices(root, load(root / "fleet.toml"))
    result = reprice(ledger_location(root), prices, dry_run=options.dry_run, progress=_progress)
    rows = [
        [model, result.priced[model], dollars(result.nano_usd[model]), result.unpriced[model]]
        for model in sorted(result.priced.keys() | result.unpriced.keys())
    ]
    if not rows:
        print("Every attempt has a price.")
        return 0
    verb = "would be priced" if options.dry_run else "priced"
    print(table(["model", verb, "cost", "still unpriced"], rows))
    if result.unpriced:
        print("\nGive the others a price in prices.toml.")
    return 1 if result.unpriced else 0


def _progress(rows: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{rows} attempts", end="", file=sys.stderr)
