"""`costs --html`: the report as one page to show around."""

import argparse
from pathlib import Path

from .. import wiring
from ..configuration import load_prices
from ..runtime.errors import FleetError, SettingsError
from ..runtime.fleet import find_root, load
from ..runtime.ledger.baseline import compare, find_saving
from . import costs, costs_export
from .costs_table import GROUPS, add_groups, cost_report, month_text

HELP = costs.HELP


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `costs`, more to sum up by, and the file of the page."""
    costs_export.configure(parser)
    add_groups(parser, f"{GROUPS}, agent, user, tag:KEY")
    parser.add_argument("--html", metavar="FILE", help="write one page to show around")


def run(options: argparse.Namespace) -> int:
    """Write the page where it is asked for; else print what `costs` prints."""
    if not options.html:
        return costs_export.run(options)
    if options.json or options.csv:
        raise SettingsError("--html goes with neither --json nor --csv", "take one of them")
    from ..runtime.ledger import page

    shown, path = costs.examine(cost_report(options)), Path(options.html)
    month = month_text(shown.report, shown.forecast)
    root = find_root()
    fleet = load(root / "fleet.toml")
    comparison = compare(fleet, load_prices(root, fleet), wiring.BASELINES)
    saving = find_saving(shown.report, comparison)
    html = page.html(shown.report, shown.found, month, saving)
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        problem = f"{path} cannot be written ({error.strerror})"
        raise FleetError(problem, "name a file in a folder that you may write") from None
    print(f"Wrote {path}: open it in a browser.")
    return 0
