"""`costs reconcile FILE`: the ledger beside what a provider says it was asked and what it bills."""

import argparse
import json
import sys
from decimal import Decimal
from pathlib import Path

from ..configuration import ledger_location
from ..runtime import fleet
from ..runtime.ledger.export_formats import FIELDS, LABELS, Columns
from ..runtime.ledger.exports import Export, read
from ..runtime.ledger.queries import day_of
from ..runtime.ledger.reconcile import Line, reconcile
from ..runtime.ledger.report_text import table
from ..runtime.text import printable

HELP = "compare the ledger with a provider's usage or cost export"
MOST_SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="JSON or CSV, several of them add up"
    )
    parser.add_argument(
        "--map",
        type=_columns,
        metavar="FIELD=COLUMN,...",
        help=f"for another provider's CSV; fields: {', '.join(FIELDS)}",
    )
    parser.add_argument("--provider", help="only this one's rows (default: those of the exports)")
    parser.add_argument("--all", action="store_true", help="show what agrees too")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Compare and print; the exit status is 0, whatever came out."""
    exports = [read(Path(file), options.map) for file in options.files]
    for export in exports:
        _tell_unread(export)
    names = {options.provider or export.provider for export in exports}
    providers = {name for name in names if name} if all(names) else set[str]()
    lines = reconcile(ledger_location(fleet.find_root()), providers, exports)
    if options.as_json:
        print(json.dumps(_as_dict(lines, exports), ensure_ascii=False))
    else:
        _print(lines, show_all=options.all)
    return 0


def _tell_unread(export: Export) -> None:
    for broken in export.broken[:MOST_SHOWN]:
        print(printable(f"{export.name}: left out, {broken}"), file=sys.stderr)
    if len(export.broken) > MOST_SHOWN:
        print(f"{export.name}: {len(export.broken)} rows left out in all", file=sys.stderr)
    if export.unread:
        unread = ", ".join(export.unread)
        print(printable(f"{export.name}: columns not read: {unread}"), file=sys.stderr)


def _print(lines: list[Line], *, show_all: bool) -> None:
    if not lines:
        print("The export holds no figures to compare.")
        return
    agree = sum(not line.why for line in lines)
    usd = [line for line in lines if line.kind == "usd"]
    print(f"{agree:,} of {len(lines):,} figures agree.")
    if usd:
        theirs, ours = sum(line.provider for line in usd), sum(line.ledger for line in usd)
        print(f"Provider {_format('usd', theirs)}, ledger {_format('usd', ours)}.")
    rows = [
        [
            day_of(line.day),
            line.model or "all models",
            line.kind,
            _format(line.kind, line.provider),
            _format(line.kind, line.ledger),
            _format(line.kind, line.difference),
            line.why or "agrees",
        ]
        for line in lines
        if line.why or show_all
    ]
    if rows:
        heads = ["day", "model", "kind", "provider", "ledger", "difference", "why"]
        print(f"\n{table(heads, rows)}")


def _format(kind: str, number: Decimal | int) -> str:
    text = f"{Decimal(number).normalize():,f}"
    return f"${text}" if kind == "usd" else text


def _as_dict(lines: list[Line], exports: list[Export]) -> dict[str, object]:
    return {
        "agree": sum(not line.why for line in lines),
        "broken": [broken for export in exports for broken in export.broken],
        "columns_not_read": [name for export in exports for name in export.unread],
        "figures": [
            {
                "day": str(day_of(line.day)),
                "model": line.model,
                "kind": line.kind,
                "provider": str(line.provider),
                "ledger": str(line.ledger),
                "why": line.why or None,
            }
            for line in lines
        ],
    }


def _columns(text: str) -> Columns:
    """Parse `day=date,model=name,cached=a,cached=b`; a field that is named twice is added up."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in text.split(","):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column or field not in FIELDS:
            raise argparse.ArgumentTypeError(
                f"'{pair}' is not FIELD=COLUMN with a field of {', '.join(FIELDS)}"
            )
        found[field] = (*found.get(field, ()), column)
    if "day" not in found or not found.keys() - LABELS:
        raise argparse.ArgumentTypeError("give day=COLUMN and at least one figure, usd=COLUMN say")
    return found
