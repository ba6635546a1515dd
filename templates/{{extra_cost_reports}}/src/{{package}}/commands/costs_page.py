"""`costs --html`: the report as one page to show around."""

import argparse
from pathlib import Path

from ..baseline import saving_of
from ..runtime.errors import SettingsError
from . import costs
from .costs_table import cost_report

HELP = costs.HELP


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `costs`, and the file of the page."""
    costs.configure(parser)
    parser.add_argument("--html", metavar="FILE", help="write one page to show around")


def run(options: argparse.Namespace) -> int:
    """Write the page where it is asked for; else print what `costs` prints."""
    if not options.html:
        return costs.run(options)
    if options.json or options.csv:
        raise SettingsError("--html goes with neither --json nor --csv", "take one of them")
    from ..runtime.ledger import page

    shown = costs.examine(cost_report(options))
    saving = saving_of(shown.report)
    html = page.html(shown.report, shown.found, shown.month, shown.question, saving)
    print(page.write(Path(options.html), html))
    return 0
