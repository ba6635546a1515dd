"""Adds to `costs`: findings before the table, and the report as JSON and CSV."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from ..cli import cost_report, month_text
from ..runtime import fleet
from ..runtime.errors import LedgerError
from ..runtime.ledger import queries
from ..runtime.ledger.findings import Finding, Question, find
from ..runtime.ledger.prices import Prices
from ..runtime.ledger.queries import DEMO, Report, Totals, dollars
from ..runtime.ledger.store import database_path

SHOWN = 5


def run(options: argparse.Namespace) -> int:
    report = cost_report(options)
    if options.csv:
        _write_csv(report)
        return 0
    question = _question(report)
    found, forecast = find(question), _forecast_nano_usd(question)
    month = month_text(report) + (f", heading for {dollars(forecast)}" if forecast else "")
    if options.json:
        print(json.dumps(_as_dict(report, found, question, forecast), ensure_ascii=False))
    elif options.html:
        page = queries.of_reports("page")
        print(page.write(Path(options.html), page.html(report, found, month, question)))
    else:
        print(f"{findings_text(found)}\n\n{queries.as_text(report)}\n\n{month}")
    return 0


def findings_text(found: Sequence[Finding]) -> str:
    """The dearest findings, two lines each."""
    lines: list[str] = []
    for at, finding in enumerate(found[:SHOWN], 1):
        dear = dollars(finding.nano_usd_per_month)
        lines += [f"{at}. {dear} a month: {finding.text}", f"   {finding.action}"]
    if len(found) > SHOWN:
        lines.append(f"   {len(found) - SHOWN} more with --json.")
    return "\n".join(lines) or "Nothing stands out."


def _question(report: Report) -> Question:
    from ..workspace import load_prices

    root = fleet.find_root()
    settings = fleet.load(root / "fleet.toml")
    refs = dict.fromkeys(ref for chain in settings.chains.values() for ref in chain.models)
    return Question(
        database_path(root),
        partial(_price, load_prices(root)),
        [(ref.provider, ref.model) for ref in refs],
        settings.budgets.month_usd if report.environment != DEMO else Decimal(0),
        report.environment,
    )


def _price(prices: Prices, provider: str, model: str, row: Totals) -> int | None:
    """Tokens of many calls as calls of their average size, which decides on tiers, and a rest."""
    from pydantic_ai.usage import RequestUsage

    def cost(asked: int, answered: int, read: int) -> int | None:
        usage = RequestUsage(input_tokens=asked, cache_read_tokens=min(asked, read))
        usage.output_tokens = answered
        return prices.cost(fleet.ModelRef(provider, model), usage).nano_usd

    calls = max(1, row.priced)
    tokens = (row.input_tokens, row.output_tokens, row.cache_read_input_tokens)
    call, rest = cost(*(n // calls for n in tokens)), cost(*(n % calls for n in tokens))
    return None if call is None or rest is None else calls * call + rest


def _write_csv(report: Report) -> None:
    names = list(_numbers(queries.total([])))
    previous = [f"previous_{name}" for name in names]
    writer = csv.DictWriter(sys.stdout, [*report.by, *names, *previous], lineterminator="\n")
    writer.writeheader()
    for record in _records(report):
        before: dict[str, Any] = record.pop("previous") or {}
        writer.writerow(record | {f"previous_{name}": before.get(name) for name in names})


def _as_dict(
    report: Report, found: Sequence[Finding], question: Question, forecast: int | None
) -> dict[str, Any]:
    return {
        "since": str(queries.day_of(report.since)),
        "until": str(queries.day_of(report.today)),
        "by": report.by,
        "environment": report.environment,
        "findings": [asdict(finding) for finding in found],
        "unpriced": report.unpriced,
        "total": _numbers(queries.total(report.rows)),
        "previous_total": _numbers(queries.total(report.before.values())),
        "rows": list(_records(report)),
        "month": {
            "cost_nano_usd": queries.month_nano_usd(question.location, question.environment),
            "forecast_nano_usd": forecast,
            "budget_usd": str(question.budget_usd),
        },
    }


def _records(report: Report) -> Iterator[dict[str, Any]]:
    for row in report.rows:
        named = zip(report.by, queries.labels(report.by, row), strict=True)
        before = report.before.get(row.key)
        yield {**dict(named), **_numbers(row), "previous": before and _numbers(before)}


def _numbers(row: Totals) -> dict[str, int | float | None]:
    """Exact numbers; null where something is not known, which is not 0."""
    told = {name: getattr(row, name) for name in (*queries.COUNTS, *queries.DERIVED)}
    return told if row.priced else told | {"cost_nano_usd": None}


def _forecast_nano_usd(question: Question) -> int | None:
    """Where the month heads; None for the demo, and where the extra that tells is not here."""
    with suppress(LedgerError):
        trends = queries.of_reports("findings_trends")
        return None if question.environment == DEMO else trends.forecast_nano_usd(question)
    return None
