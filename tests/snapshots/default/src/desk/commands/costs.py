"""Adds to `costs`: findings before the table, and the report as JSON, CSV or one HTML page."""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..runtime import fleet
from ..runtime.errors import FleetError
from ..runtime.fleet import ModelRef
from ..runtime.ledger import page, queries
from ..runtime.ledger.findings import Finding, Price, Question, find, forecast_nano_usd
from ..runtime.ledger.prices import NANO, Prices
from ..runtime.ledger.queries import COUNTS, Report, Totals, dollars
from ..runtime.ledger.store import database_path

HELP = "What each task type cost on each model, this week against last, and what to change."
SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="one JSON object, exact numbers")
    formats.add_argument("--csv", action="store_true", help="a line per group, exact numbers")
    formats.add_argument("--html", metavar="FILE", help="write one page to show around")


def run(options: argparse.Namespace) -> int:
    from ..cli import cost_report

    asked = cost_report(options)
    if options.csv:
        _write_csv(asked)
        return 0
    question = _question(asked)
    found = find(question)
    if options.json:
        print(json.dumps(_as_dict(asked, found, question), ensure_ascii=False))
    elif options.html:
        months = month_text(question)
        _write_page(Path(options.html), page.html(asked, found, months, question))
    else:
        print(findings_text(found))
        print(queries.as_text(asked))
        print(f"\n{month_text(question)}")
    return 0


def findings_text(found: Sequence[Finding]) -> str:
    """The dearest findings, two lines each, and an empty line; nothing where there are none."""
    lines: list[str] = []
    for at, finding in enumerate(found[:SHOWN], 1):
        dear = dollars(finding.nano_usd_per_month)
        lines += [f"{at}. {dear} a month: {finding.text}", f"   {finding.action}"]
    if len(found) > SHOWN:
        lines.append(f"   {len(found) - SHOWN} more with --json or --html.")
    return "\n".join([*lines, ""]) if lines else "Nothing stands out.\n"


def month_text(question: Question) -> str:
    """The month so far, where it heads, and its budget."""
    spent = queries.month_nano_usd(question.location, question.environment)
    forecast = forecast_nano_usd(question)
    heads = f", heading for {dollars(forecast)}" if forecast is not None else ""
    limit = dollars(round(question.budget_usd * NANO))
    budget = f" of {limit}" if question.budget_usd else ", no budget set"
    return f"This month: {dollars(spent)}{'' if question.environment else budget}{heads}"


def _question(asked: Report) -> Question:
    from ..workspace import load_prices

    root = fleet.find_root()
    settings = fleet.load(root / "fleet.toml")
    refs = dict.fromkeys(ref for chain in settings.chains.values() for ref in chain.models)
    live = asked.environment != queries.DEMO
    return Question(
        database_path(root),
        _price(load_prices(root)),
        [(ref.provider, ref.model) for ref in refs],
        settings.budgets.month_usd if live else Decimal(0),
        asked.environment,
    )


def _price(prices: Prices) -> Price:
    """Tokens of many calls at the rate of their average call, so that tiers are the right ones."""

    def cost(provider: str, model: str, row: Totals) -> int | None:
        from pydantic_ai.usage import RequestUsage

        ref = ModelRef(provider, model)
        calls = max(1, row.priced)
        read, asked = row.cache_read_input_tokens // calls, -(-row.input_tokens // calls)
        answered = -(-row.output_tokens // calls)
        inputs = prices.cost(ref, RequestUsage(input_tokens=asked, cache_read_tokens=read)).nano_usd
        both = prices.cost(
            ref,
            RequestUsage(input_tokens=asked, cache_read_tokens=read, output_tokens=answered),
        ).nano_usd
        if inputs is None or both is None:
            return None
        return round(
            Decimal(inputs) * row.input_tokens / max(1, asked)
            + Decimal(both - inputs) * row.output_tokens / max(1, answered)
        )

    return cost


def _write_csv(asked: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = list(_numbers(queries.total([]), [], ()))
    writer.writerow([*asked.by, *names, *(f"previous_{name}" for name in names)])
    for record in _records(asked):
        previous: dict[str, Any] = record.pop("previous") or {}
        writer.writerow([*record.values(), *(previous.get(name) for name in names)])


def _as_dict(asked: Report, found: Sequence[Finding], question: Question) -> dict[str, Any]:
    return {
        "since": str(queries.day_of(asked.since)),
        "until": str(queries.day_of(asked.today)),
        "by": asked.by,
        "environment": asked.environment,
        "findings": [asdict(finding) for finding in found],
        "unpriced": asked.unpriced,
        "total": _sum(asked.rows),
        "previous_total": _sum(asked.before.values()),
        "rows": list(_records(asked)),
        "month": {
            "cost_nano_usd": queries.month_nano_usd(question.location, question.environment),
            "forecast_nano_usd": forecast_nano_usd(question),
            "budget_usd": str(question.budget_usd),
        },
    }


def _records(asked: Report) -> Iterator[dict[str, Any]]:
    for row in asked.rows:
        before = asked.before.get(row.key)
        yield {
            **dict(zip(asked.by, queries.labels(asked, row), strict=True)),
            **_numbers(row, asked.rows, asked.by),
            "previous": before and _numbers(before, asked.before.values(), asked.by),
        }


def _sum(rows: Iterable[Totals]) -> dict[str, int | float | None]:
    all_ = queries.total(rows)
    return _numbers(all_, [all_], ())


def _numbers(
    row: Totals, rows: Iterable[Totals], by: Sequence[str]
) -> dict[str, int | float | None]:
    """Exact numbers; null where something is not known, which is not 0."""
    counts = {name: getattr(row, name) for name in COUNTS}
    return {
        **counts,
        "cost_nano_usd": row.cost_nano_usd if row.priced else None,
        "nano_usd_per_success": row.nano_usd_per_success,
        "p50_ms": row.percentile_ms(0.5),
        "p95_ms": row.percentile_ms(0.95),
        "success_rate": row.success_rate,
        "failure_rate": row.failure_rate,
        "escalation_rate": queries.escalation_rate(row, rows, by),
        "unpriced_share": row.unpriced_share,
    }


def _write_page(path: Path, html: str) -> None:
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        raise FleetError(f"{path} cannot be written: {error.strerror}.") from None
    print(f"Wrote {path}: open it in a browser.")
