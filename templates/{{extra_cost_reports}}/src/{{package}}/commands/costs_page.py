"""`costs --html`: the report as one page to show around."""

import argparse
from pathlib import Path

from ..baseline import saving_of
from ..runtime.errors import FleetError, SettingsError
from . import costs, costs_export
from .costs_table import cost_report, month_text

HELP = costs.HELP


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `costs`, and the file of the page."""
    costs_export.configure(parser)
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
    html = page.html(shown.report, shown.found, month, saving_of(shown.report))
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        problem = f"{path} cannot be written ({error.strerror})"
        raise FleetError(problem, "name a file in a folder that you may write") from None
    print(f"Wrote {path}: open it in a browser.")
    return 0
