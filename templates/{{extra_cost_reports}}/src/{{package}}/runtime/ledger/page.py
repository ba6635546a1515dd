"""The cost report as one HTML page: no script, no network, every text escaped.

Amounts are `<data value="NANO-DOLLARS">`, so that a program can read the page back. The elements
and the style are in page.html.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .attempt import DEMO
from .findings import Finding
from .queries import Totals, day_of, sums, total
from .report_text import HEADS, Report, cells, dollars, lacking, money, per_success, percent
from .saving import Saving

WEEKS = 12
MOST_WEEKS = 26


def html(
    report: Report, findings: Sequence[Finding], month: str, saving: Saving | None = None
) -> str:
    """Write the whole page. Raises LedgerError."""
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writers = (cells, day_of, dollars, lacking, money, per_success, percent)
    filters: dict[str, Any] = cast("Any", page).filters  # the library's type of it has gaps
    filters |= {"count": "{:,}".format} | {write.__name__: write for write in writers}
    return page.get_template("page.html").render(
        report=report,
        findings=findings,
        month=month,
        saving=saving,
        is_demo=report.environment == DEMO,
        now=total(report.rows),
        before=total(report.before.values()),
        heads=[f"{head[0].upper()}{head[1:]}" for head in HEADS],
        heat=_heat(report),
        weeks=_weeks(report),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _heat(report: Report) -> dict[str, Any]:
    """Return the sums by task and model, and those of each task and each model, the dearest first."""
    by = ("task_type", "request_model")
    pairs = sums(report.location, by, report.since, environment=report.environment)
    return {
        "pairs": {row.key: row for row in pairs},
        "tasks": _by_cost(pairs, 0),
        "models": _by_cost(pairs, 1),
        "all": total(pairs),
    }


def _by_cost(pairs: Sequence[Totals], at: int) -> dict[str, Totals]:
    names = dict.fromkeys(row.key[at] for row in pairs)
    groups = {name: total(row for row in pairs if row.key[at] == name) for name in names}
    return dict(sorted(groups.items(), key=lambda item: -item[1].cost_nano_usd))


def _weeks(report: Report) -> dict[int, Totals]:
    """Return each week since the first call, at least the report's own, by its first day."""
    shown = min(MOST_WEEKS, max(WEEKS, -(-report.days // 7)))
    first, end = report.today + 1 - 7 * shown, report.today + 1
    found = {
        row.key[0]: row for row in sums(report.location, ("week",), first, end, report.environment)
    }
    return {day: found.get(day) or total([]) for day in range(min(found, default=end), end, 7)}
