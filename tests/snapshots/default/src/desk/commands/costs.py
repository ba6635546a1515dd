"""Adds to `costs`: findings before the table, and the report as JSON and CSV."""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from ..cli import cost_report, month_text, saving_lines, saving_of
from ..runtime import fleet
from ..runtime.encodable import csv_cell, printable
from ..runtime.errors import SettingsError
from ..runtime.ledger import queries
from ..runtime.ledger.findings import Finding, Question, find
from ..runtime.ledger.queries import Report, Totals, dollars, month_total
from ..runtime.ledger.saving import Saving

SHOWN = 5
DERIVED = tuple(name for name, own in vars(Totals).items() if isinstance(own, property))
NUMBERS = (*queries.COUNTS, *DERIVED)


HELP = "show what each task cost on each model, and what should change"


def configure(_: argparse.ArgumentParser) -> None:
    """Add nothing: the options of `costs` are declared with the plain table."""


def run(options: argparse.Namespace) -> int:
    from .. import wiring
    from ..workspace import load_prices

    report = cost_report(options)
    if options.csv:
        _write_csv(report)
        return 0
    root = fleet.find_root()
    settings, prices = fleet.load(root / "fleet.toml"), load_prices(root)
    question = Question(report.location, settings, prices, report.environment)
    found = find(question, wiring.FINDINGS)
    forecast = wiring.FORECAST(question) if wiring.FORECAST else None
    month = month_text(report)
    if forecast:  # made of the same sums, and it lacks what they lack
        lacks = "≥" if month.startswith("This month: ≥") else ""
        month += f", heading for {lacks}{dollars(forecast)}"
    if options.json:
        saving = saving_of(report)
        told = _as_dict(report, found, question, forecast) | {"saving": saving and _exact(saving)}
        print(to_json(told).decode())
    elif options.html:
        if not wiring.PAGE:
            raise SettingsError("--html is in an extra: run `scaffold add extra cost_reports`.")
        html = wiring.PAGE.html(report, found, month, question, saving_of(report))
        print(wiring.PAGE.write(Path(options.html), html))
    else:
        nothing = f"No calls in these {report.days} days."
        first = findings_text(found) if found or report.rows else nothing
        lines = [first, "", queries.as_text(report), "", month]
        print(printable("\n".join([*lines, *saving_lines(report)])))
    return 0


def _write_csv(report: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*report.by, *NUMBERS, *(f"previous_{name}" for name in NUMBERS)])
    for name, row, before in report.groups():
        names = [csv_cell(printable(part)) for part in name]
        writer.writerow([*names, *_numbers(row).values(), *_numbers(before).values()])


def findings_text(found: Sequence[Finding]) -> str:
    """The dearest findings, two lines each."""
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


def _as_dict(
    report: Report, found: Sequence[Finding], question: Question, forecast: int | None
) -> dict[str, Any]:
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
        "findings": found,
        "unpriced": report.unpriced,
        "unmeasured": report.unmeasured,
        "total": _numbers(queries.total(report.rows)),
        "previous_total": _numbers(queries.total(report.before.values())),
        "rows": rows,
        "month": {
            "cost_nano_usd": _numbers(month)["cost_nano_usd"] if month.attempts else 0,
            "unpriced": month.unpriced,
            "unmeasured": month.unmeasured,
            "forecast_nano_usd": forecast,
            "budget_usd": question.fleet.budgets.month_usd,
        },
    }


def _exact(saving: Saving) -> dict[str, Any]:
    told = asdict(saving) | {"since": queries.day_of(saving.since)}
    return told | {"saved_nano_usd": saving.saved_nano_usd, "share": saving.share}


def _numbers(row: Totals | None) -> dict[str, int | float | None]:
    """Exact numbers; null where something is not known, which is not 0."""
    told = {name: getattr(row, name, None) for name in NUMBERS}
    return told if row and row.priced else told | {"cost_nano_usd": None}
