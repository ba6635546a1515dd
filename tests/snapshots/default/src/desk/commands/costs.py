"""Adds findings to `costs`: what should change, above the table."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime import fleet
from ..runtime.ledger.findings import Finding, Question, find
from ..runtime.ledger.report_text import Report, dollars
from . import costs_table
from .costs_table import cost_report, print_report

SHOWN = 5
HELP = "show what each task cost on each model, and what should change"
configure = costs_table.configure


@dataclass(frozen=True, slots=True)
class Costs:
    """A report with what was found in it.

    `forecast`: what the month will cost in nano-dollars, if that is known.
    """

    report: Report
    question: Question
    found: list[Finding]
    forecast: int | None


def run(options: argparse.Namespace) -> int:
    """Print the findings and the table."""
    costs = examine(cost_report(options))
    report = costs.report
    nothing = f"No calls in these {report.days} days."
    first = findings_text(costs.found) if costs.found or report.rows else nothing
    print_report(report, first, costs.forecast)
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


def findings_text(found: Sequence[Finding]) -> str:
    """Write the dearest findings, two lines each."""
    lines: list[str] = []
    for at, finding in enumerate(found[:SHOWN], 1):
        dear = "" if finding.urgent else f"{dollars(finding.nano_usd_per_month)} a month: "
        lines += [f"{at}. {dear}{finding.text}", f"   {finding.action}"]
    if len(found) > SHOWN:
        lines.append(f"   {len(found) - SHOWN} more with --json (extra cost_export).")
    return "\n".join(lines) or "Nothing stands out."
