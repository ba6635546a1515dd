"""Adds to `costs`: findings before the table, and the report as JSON and CSV."""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from ..runtime import fleet
from ..runtime.ledger import queries, report_text
from ..runtime.ledger.findings import Finding, Question, find
from ..runtime.ledger.queries import Totals, month_total
from ..runtime.ledger.report_text import Report, dollars
from ..runtime.text import csv_cell, printable
from . import costs_table
from .costs_table import cost_report, month_text, saving_lines

SHOWN = 5
DERIVED = tuple(name for name, own in vars(Totals).items() if isinstance(own, property))
NUMBERS = (*queries.COUNTS, *DERIVED)
HELP = "show what each task cost on each model, and what should change"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the plain table, and the formats."""
    costs_table.configure(parser)
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="one JSON object, exact numbers")
    formats.add_argument("--csv", action="store_true", help="a line per group, exact numbers")


@dataclass(frozen=True, slots=True)
class Costs:
    """A report with what was found in it."""

    report: Report
    question: Question
    found: list[Finding]
    forecast: int | None
    """What the month will cost in nano-dollars, if that is known."""

    @property
    def month(self) -> str:
        """What this month has cost, and what it is heading for."""
        text = month_text(self.report)
        if not self.forecast:
            return text
        # The forecast is computed from the same sums, and lacks what they lack.
        lacks = "≥" if text.startswith("This month: ≥") else ""
        return f"{text}, heading for {lacks}{dollars(self.forecast)}"


def run(options: argparse.Namespace) -> int:
    """Print the report in the format that the options name."""
    if options.csv:
        _write_csv(cost_report(options))
        return 0
    costs = examine(cost_report(options))
    report = costs.report
    if options.json:
        print(to_json(_as_dict(costs)).decode())
        return 0
    nothing = f"No calls in these {report.days} days."
    first = findings_text(costs.found) if costs.found or report.rows else nothing
    lines = [first, "", report_text.as_text(report), "", costs.month]
    print(printable("\n".join([*lines, *saving_lines(report)])))
    return 0


def examine(report: Report) -> Costs:
    """Look for findings in the rows of a report, and for the forecast of the month."""
    from .. import wiring
    from ..configuration import load_prices

    root = fleet.find_root()
    settings = fleet.load(root / "fleet.toml")
    prices = load_prices(root, settings)
    question = Question(report.location, settings, prices, report.environment)
    forecast = wiring.FORECAST(question) if wiring.FORECAST else None
    return Costs(report, question, find(question, wiring.FINDINGS), forecast)


def _write_csv(report: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*report.by, *NUMBERS, *(f"previous_{name}" for name in NUMBERS)])
    for name, row, before in report.groups():
        names = [csv_cell(printable(part)) for part in name]
        writer.writerow([*names, *_numbers(row).values(), *_numbers(before).values()])


def findings_text(found: Sequence[Finding]) -> str:
    """Write the dearest findings, two lines each."""
    lines: list[str] = []
    for at, finding in enumerate(found[:SHOWN], 1):
        dear = f"{dollars(finding.nano_usd_per_month)} a month: "
        lines += [
            f"{at}. {'' if finding.urgent else dear}{finding.text}",
            f"   {finding.action}",
        ]
    if len(found) > SHOWN:
        lines.append(f"   {len(found) - SHOWN} more with --json.")
    return "\n".join(lines) or "Nothing stands out."


def _as_dict(costs: Costs) -> dict[str, Any]:
    from .. import wiring

    report, question = costs.report, costs.question
    rows = [
        dict(zip(report.by, name, strict=True))
        | _numbers(row)
        | {"previous": before and _numbers(before)}
        for name, row, before in report.groups()
    ]
    month = month_total(question.location, question.environment)
    return {
        "since": queries.day_of(report.since),
        "until": queries.day_of(report.today),
        "by": report.by,
        "environment": report.environment,
        "findings": costs.found,
        "unpriced": report.unpriced,
        "unmeasured": report.unmeasured,
        "total": _numbers(queries.total(report.rows)),
        "previous_total": _numbers(queries.total(report.before.values())),
        "rows": rows,
        "month": {
            "cost_nano_usd": _numbers(month)["cost_nano_usd"] if month.attempts else 0,
            "unpriced": month.unpriced,
            "unmeasured": month.unmeasured,
            "forecast_nano_usd": costs.forecast,
            "budget_usd": question.fleet.budgets.month_usd,
        },
        "saving": wiring.SAVING.saving_numbers(report) if wiring.SAVING else None,
    }


def _numbers(row: Totals | None) -> dict[str, int | float | None]:
    """Return exact numbers; null where something is not known, which is not 0."""
    numbers = {name: getattr(row, name, None) for name in NUMBERS}
    return numbers if row and row.priced else numbers | {"cost_nano_usd": None}
