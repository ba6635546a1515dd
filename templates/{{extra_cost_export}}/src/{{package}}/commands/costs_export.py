"""`costs --json` and `costs --csv`: the report with exact numbers, and all findings."""

import argparse
import csv
import sys
from typing import Any

from pydantic_core import to_json

from ..configuration import show_saving
from ..runtime.ledger.queries import COUNTS, Totals, day_of, this_month, total
from ..runtime.ledger.report_text import Report
from ..runtime.text import csv_cell, printable
from . import costs
from .costs_table import cost_report

HELP = costs.HELP
RATES = tuple(name for name, own in vars(Totals).items() if isinstance(own, property))
NUMBERS = (*COUNTS, *RATES)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the formats to the options of `costs`."""
    costs.configure(parser)
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="one JSON object, exact numbers")
    formats.add_argument("--csv", action="store_true", help="a line per group, exact numbers")


def run(options: argparse.Namespace) -> int:
    """Print the report in the format that the options name."""
    if options.csv:
        write_csv(cost_report(options))
    elif options.json:
        print(to_json(as_dict(costs.examine(cost_report(options)))).decode())
    else:
        return costs.run(options)
    return 0


def write_csv(report: Report) -> None:
    """Print a line for each group, with the numbers of the days before as `previous_...`."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*report.by, *NUMBERS, *(f"previous_{name}" for name in NUMBERS)])
    for name, row, before in report.groups():
        names = [csv_cell(printable(part)) for part in name]
        writer.writerow([*names, *_numbers(row).values(), *_numbers(before).values()])


def as_dict(shown: costs.Costs) -> dict[str, Any]:
    """Return all that `costs` knows; amounts are nano-dollars, null where they are not known."""
    report = shown.report
    saving = show_saving(report)
    rows = [
        dict(zip(report.by, name, strict=True))
        | _numbers(row)
        | {"previous": before and _numbers(before)}
        for name, row, before in report.groups()
    ]
    return {
        "since": day_of(report.since),
        "until": day_of(report.today),
        "by": report.by,
        "environment": report.environment,
        "findings": shown.found,
        "unpriced": report.unpriced,
        "unmeasured": report.unmeasured,
        "total": _numbers(total(report.rows)),
        "previous_total": _numbers(total(report.before.values())),
        "rows": rows,
        "month": _month(shown),
        "saving": saving and saving.numbers,
    }


def _month(shown: costs.Costs) -> dict[str, Any]:
    month = total(this_month(shown.report.location, shown.report.environment))
    return {
        "cost_nano_usd": _numbers(month)["cost_nano_usd"] if month.attempts else 0,
        "unpriced": month.unpriced,
        "unmeasured": month.unmeasured,
        "forecast_nano_usd": shown.forecast,
        "budget_usd": shown.question.fleet.budgets.month_usd,
    }


def _numbers(row: Totals | None) -> dict[str, int | float | None]:
    """Return exact numbers; None where something is not known, which is not 0."""
    numbers = {name: getattr(row, name, None) for name in NUMBERS}
    return numbers if row and row.priced else numbers | {"cost_nano_usd": None}
