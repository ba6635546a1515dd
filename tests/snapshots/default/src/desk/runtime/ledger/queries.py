"""Questions to the ledger's daily rollup, and its answer as text.

A day is a number: days since 1970-01-01, in UTC. A week is seven days; the last one ends today.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

from .prices import NANO
from .store import BUCKETS, Location, percentile, select

DEMO = "demo"
"""The `environment` of recorded runs: shown apart, never part of a budget."""
GROUPS = (
    *("task_type", "request_model", "provider", "deployment", "chain", "pipeline", "stage"),
    *("environment", "day", "week"),
)
EPOCH = date(1970, 1, 1)
LATER = 10**7
"""A day after every other: what a clock that ran ahead has written is counted too."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a group of attempts adds up to: tokens, nano-dollars, milliseconds.

    `calls` counts calls that began with this group, `attempts` all that reached its model.
    """

    key: tuple[Any, ...]
    calls: int
    attempts: int
    ok: int
    failed: int
    rejected: int
    skipped: int
    escalated: int
    aborted: int
    answered: int
    priced: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    cost_nano_usd: int
    wasted_nano_usd: int
    quality_n: int
    quality_milli: int
    latency_ms: int
    histogram: tuple[int, ...]

    @property
    def nano_usd_per_success(self) -> int | None:
        """Known cost per successful outcome; None without one, or where no price is known."""
        won = self.ok + self.answered
        return round(self.cost_nano_usd / won) if won and self.priced else None

    @property
    def success_rate(self) -> float | None:
        """Accepted completions among those that got a verdict; an aborted one got none."""
        return _share(self.ok, self.ok + self.failed + self.rejected)

    @property
    def failure_rate(self) -> float | None:
        return _share(self.failed + self.rejected, self.ok + self.failed + self.rejected)

    @property
    def unpriced_share(self) -> float | None:
        return _share(self.unpriced, self.priced + self.unpriced)

    def percentile_ms(self, share: float) -> int | None:
        return percentile(self.histogram, share)


COUNTS = tuple(field.name for field in fields(Totals))[1:-1]


def total(rows: Iterable[Totals], key: tuple[Any, ...] = ()) -> Totals:
    """The sum of some groups."""
    numbers = attrgetter(*COUNTS)
    counts, buckets = [0] * len(COUNTS), [0] * len(BUCKETS)
    for row in rows:
        counts = [a + b for a, b in zip(counts, numbers(row), strict=True)]
        buckets = [a + b for a, b in zip(buckets, row.histogram, strict=True)]
    return _totals(key, counts, buckets)


def sums(
    location: Location,
    by: Sequence[str],
    since: int,
    until: int = LATER,
    environment: str | None = None,
) -> list[Totals]:
    """The days from `since` up to before `until`, by some of GROUPS, the dearest first.

    `environment` None: every one but the demo's. A week is numbered from `since`, from 0.
    """
    columns = [f"(day - {since}) / 7" if name == "week" else name for name in by]
    measures = [f"SUM({name})" for name in (*COUNTS, *BUCKETS)]
    query = (
        f"SELECT {', '.join([*columns, *measures])} FROM rollup WHERE day >= ? AND day < ? "
        f"AND environment {'!=' if environment is None else '='} ? "
        + (f"GROUP BY {', '.join(columns)}" if by else "HAVING COUNT(*) > 0")
    )
    rows = select(location, query, (since, until, environment or DEMO))
    first, last = len(by), len(by) + len(COUNTS)
    found = [_totals(row[:first], row[first:last], row[last:]) for row in rows]
    return sorted(found, key=lambda row: (-row.cost_nano_usd, row.key))


@dataclass(frozen=True, slots=True)
class Report:
    """The days from `since` to today beside as many before them, by some of GROUPS."""

    since: int
    today: int
    by: tuple[str, ...]
    environment: str | None
    rows: list[Totals]
    before: Mapping[tuple[Any, ...], Totals]
    unpriced: Mapping[str, int]
    ahead: int

    @property
    def days(self) -> int:
        return self.today - self.since + 1


def report(
    location: Location, by: Sequence[str], days: int, environment: str | None = None
) -> Report:
    """The last `days` days, today among them. Raises LedgerError where no ledger can be read."""
    now = today()
    since = now - days + 1
    models = sums(location, ("provider", "request_model"), since, LATER, environment)
    return Report(
        since,
        now,
        tuple(by),
        environment,
        sums(location, by, since, LATER, environment),
        {row.key: row for row in sums(location, by, since - days, since, environment)},
        {":".join(row.key): row.unpriced for row in models if row.unpriced},
        total(sums(location, (), now + 1, LATER, environment)).attempts,
    )


def month_nano_usd(location: Location, environment: str | None = None) -> int:
    """What the calendar month (UTC) has cost so far."""
    first = (day_of(today()).replace(day=1) - EPOCH).days
    return total(sums(location, (), first, LATER, environment)).cost_nano_usd


def month_by_task(location: Location) -> dict[str, int]:
    """`month_nano_usd` by task type."""
    first = (day_of(today()).replace(day=1) - EPOCH).days
    return {row.key[0]: row.cost_nano_usd for row in sums(location, ("task_type",), first)}


def attempts_of(location: Location, run_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The attempts of some runs in the order they were made."""
    marks = ", ".join("?" * len(run_ids))
    query = (
        "SELECT stage, chain, request_model, outcome, error_type, input_tokens, output_tokens, "
        f"cost_nano_usd FROM attempts WHERE run_id IN ({marks}) ORDER BY ts_us, call_id, attempt"
    )
    return select(location, query, tuple(run_ids))


def escalation_rate(row: Totals, rows: Iterable[Totals], by: Sequence[str]) -> float | None:
    """Escalations among the calls of the row's group, with whichever model they began."""
    models = ("request_model", "provider", "deployment")
    fixed = [at for at, name in enumerate(by) if name not in models]
    calls = (one.calls for one in rows if all(one.key[at] == row.key[at] for at in fixed))
    return _share(row.escalated, sum(calls))


def as_text(asked: Report) -> str:
    """What has no price, both periods in a sentence, and a line per group."""
    heads = [*asked.by, "calls", "tokens in", "tokens out", "cost", "before", "per success"]
    heads += ["p50 ms", "p95 ms", "failed", "escalated", "unpriced"]
    now, before = total(asked.rows), total(asked.before.values())
    lines = [[*labels(asked, row), *_cells(asked, row)] for row in asked.rows]
    told = (
        f"{day_of(asked.since)} to {day_of(asked.today)}: {money(now)}, {now.calls:,} calls; "
        f"the {asked.days} days before: {money(before)}, {before.calls:,} calls."
    )
    ahead = f"\n{asked.ahead:,} calls are dated after today: a clock ran ahead."
    told += ahead if asked.ahead else ""
    return f"{unpriced_text(asked)}\n{told}\n\n{table(heads, lines)}"


def unpriced_text(asked: Report) -> str:
    """How many attempts have no price, and on which models: no figure holds their cost."""
    if not asked.unpriced:
        return "Unpriced: none."
    models = ", ".join(f"{model} ({count:,})" for model, count in asked.unpriced.items())
    count = sum(asked.unpriced.values())
    return f"Unpriced: {count:,}, in no figure below: {models}. Add prices to prices.toml."


def labels(asked: Report, row: Totals) -> list[str]:
    """A group's name, column by column: a week is named by its first day."""
    firsts = {"day": 0, "week": asked.since}
    steps = {"day": 1, "week": 7}
    return [
        str(day_of(firsts[name] + value * steps[name])) if name in steps else str(value)
        for name, value in zip(asked.by, row.key, strict=True)
    ]


def _cells(asked: Report, row: Totals) -> list[object]:
    before = asked.before.get(row.key)
    return [
        f"{row.attempts:,}",
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        money(row),
        before and money(before),
        per_success(row),
        row.percentile_ms(0.5),
        row.percentile_ms(0.95),
        percent(row.failure_rate),
        percent(escalation_rate(row, asked.rows, asked.by)),
        percent(row.unpriced_share),
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads; numbers and dollars to the right, `-` for None."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [
        all(cell[:1] in "≥$-0123456789" or cell == "unpriced" for cell in column)
        for column in zip(*cells, strict=True)
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right or [False] * len(heads), strict=True)
        ).rstrip()
        for line in [list(heads), ["-" * width for width in widths], *cells]
    )


def money(row: Totals) -> str:
    """A group's cost: `≥` while a part of it has no price, `unpriced` while all of it has none."""
    if row.unpriced:
        return f"≥{dollars(row.cost_nano_usd)}" if row.priced else "unpriced"
    return dollars(row.cost_nano_usd if row.priced else None)


def per_success(row: Totals) -> str:
    """A group's cost per successful outcome, marked like its cost."""
    partly = "≥" if row.unpriced and row.priced else ""
    return partly + dollars(row.nano_usd_per_success)


def dollars(nano_usd: int | None) -> str:
    """US dollars that keep three significant digits: `$0.000042`, never `$0.00`."""
    if nano_usd is None:
        return "-"
    usd = Decimal(nano_usd) / NANO
    cents = max(2, 2 - usd.adjusted()) if usd else 2
    shown = f"{round(usd, cents):,f}"
    return "$" + (shown.rstrip("0") if cents > 2 else shown)


def percent(share: float | None) -> str:
    """A share as `12.3 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def today() -> int:
    """The day it is, in UTC."""
    return int(time.time() // 86_400)


def day_of(day: int) -> date:
    """A day's date; the last one there is where a clock ran far ahead."""
    return EPOCH + timedelta(days=min(day, (date.max - EPOCH).days))


def _totals(key: tuple[Any, ...], counts: Iterable[Any], buckets: Iterable[Any]) -> Totals:
    # PostgreSQL adds whole numbers up to a decimal.
    named = {name: int(count) for name, count in zip(COUNTS, counts, strict=True)}
    return Totals(key=tuple(key), histogram=tuple(map(int, buckets)), **named)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def mistakes(location: Location, kinds: Sequence[str], since_us: int) -> list[tuple[Any, ...]]:
    """Models that failed in one of these ways since a moment and have not answered after it.

    Rows of (provider, model, deployment, kind, how often).
    """
    marks = ", ".join("?" * len(kinds))
    query = (
        "SELECT provider, request_model, COALESCE(deployment, ''), "
        f"MAX(CASE WHEN error_type IN ({marks}) THEN error_type END), "
        f"SUM(CASE WHEN error_type IN ({marks}) THEN 1 ELSE 0 END) "
        "FROM attempts WHERE ts_us >= ? AND environment != ? "
        "GROUP BY provider, request_model, COALESCE(deployment, '') "
        f"HAVING MAX(CASE WHEN error_type IN ({marks}) THEN ts_us ELSE 0 END) "
        "> MAX(CASE WHEN outcome = 'ok' THEN ts_us ELSE 0 END)"
    )
    return select(location, query, (*kinds, *kinds, since_us, DEMO, *kinds))
