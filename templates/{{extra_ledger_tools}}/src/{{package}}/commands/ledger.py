"""`ledger export|import|show|erase`: attempts out of the ledger, into it, and gone for good."""

import argparse
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

from ..configuration import ledger_location
from ..runtime.errors import FleetError, SettingsError
from ..runtime.fleet import find_root, load
from ..runtime.ledger.location import FileFormat
from ..runtime.text import printable

HELP = "export, import, show or erase attempts"
FORMATS = ("csv", "jsonl")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    export = actions.add_parser("export", help="write attempts to a file")
    export.add_argument("--since", type=_day, default=date(1970, 1, 1), help="first day, UTC")
    export.add_argument("--until", type=_day, default=date(9999, 1, 1), help="first day not taken")
    take = actions.add_parser("import", help="add the attempts of a file; known ones stay")
    for action in (export, take):
        action.add_argument("file", type=Path, help="its ending names the format")
        action.add_argument("--format", help="where the ending does not")
    show = actions.add_parser("show", help="what was asked and answered, where that is recorded")
    show.add_argument("id", help="of a call, or of a run: `ask` prints it")
    erase = actions.add_parser(
        "erase", help="erase a user's attempts, texts and tickets; sums stay"
    )
    erase.add_argument("--user", required=True, metavar="REF", help="the requests' user_ref")


def run(options: argparse.Namespace) -> int:
    """Do it; exit status 1 where rows of an import were left out."""
    actions = {"export": _export, "import": _import, "show": _show, "erase": _erase}
    return actions[options.action](options)


def _export(options: argparse.Namespace) -> int:
    from ..runtime.ledger.transfer import export

    span = (_microseconds(options.since), _microseconds(options.until))
    rows = export(
        ledger_location(find_root()), options.file, _format(options), span, progress=_progress
    )
    print(f"{rows} attempts in {options.file}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from ..runtime.ledger.transfer import import_

    new, wrong = import_(
        ledger_location(find_root()), options.file, _format(options), progress=_progress
    )
    print(f"{new} new attempts in the ledger")
    for line in wrong[:10]:
        print(printable(line), file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} rows of {options.file} were left out", file=sys.stderr)
    return 1 if wrong else 0


def _show(options: argparse.Namespace) -> int:
    from ..runtime.ledger.transfer import texts

    found = texts(ledger_location(find_root()), options.id)
    if not found:
        problem = f"No text of a call or run '{options.id}' is stored"
        raise FleetError(problem, "take the id that `ask` prints as its run")
    for stage, model, outcome, request, response in found:
        print(printable(f"{stage}: {model}, {outcome}\n> {request}\n< {response}\n"))
    return 0


def _erase(options: argparse.Namespace) -> int:
    from .. import wiring
    from ..runtime.ledger.transfer import erase

    root = find_root()
    human = wiring.HUMAN(root, load(root / "fleet.toml")) if wiring.HUMAN else None
    tickets = human.erase(options.user) if human else 0
    rows = erase(ledger_location(root), options.user)
    print(f"{rows} attempts erased, with their texts; tickets erased: {tickets}.")
    print("The daily sums, which name no user, stay.")
    return 0


def _format(options: argparse.Namespace) -> str | FileFormat:
    from .. import wiring

    name = options.format or options.file.suffix.lstrip(".").lower()
    if name in FORMATS:
        return name
    if name == "parquet" and name not in wiring.FILE_FORMATS:
        raise SettingsError(
            "Parquet needs an extra", "run `scaffold add extra ledger_parquet`, then `uv sync`"
        )
    if name not in wiring.FILE_FORMATS:
        known = ", ".join([*FORMATS, *wiring.FILE_FORMATS])
        raise SettingsError(f"The format of {options.file} is not known", f"give --format {known}")
    try:
        return wiring.FILE_FORMATS[name]()
    except ImportError:
        raise SettingsError(f"The format {name} needs a package", "run `uv sync`") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date like 2026-01-31") from None


def _microseconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000


def _progress(rows: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{rows} attempts", end="", file=sys.stderr)
