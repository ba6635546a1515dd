"""Questions to the ledger's daily sums.

A day is a number: days since 1970-01-01, in UTC. A week is seven days; the last one ends today.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from .attempt import DAY_S, DAY_US, DEMO
from .location import Location, select
from .rollup import BOUNDS_MS, BUCKETS

MODEL = ("provider", "request_model", "deployment")
GROUPS = ("task_type", *MODEL, "chain", "pipeline", "stage", "environment", "day", "week")
EPOCH = date(1970, 1, 1)
LATER = 10**7
"""A day after every other: what a clock that ran ahead has written is counted too."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a group of attempts adds up to: tokens, nano-dollars, milliseconds.

    `calls` counts calls that began with this group, `asked` those that began with any model of it;
    `attempts` counts all that reached its model.
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
    unmeasured: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    cost_nano_usd: int
    wasted_nano_usd: int
    quality_n: int
    quality_milli: int
    latency_ms: int
    asked: int
    histogram: tuple[int, ...]

    @property
    def verdicts(self) -> int:
        """Completions that were accepted or not; an aborted one got no verdict."""
        return self.ok + self.failed + self.rejected

    @property
    def success_rate(self) -> float | None:
        return _share(self.ok, self.verdicts)

    @property
    def failure_rate(self) -> float | None:
        return _share(self.failed + self.rejected, self.verdicts)

    @property
    def escalation_rate(self) -> float | None:
        return _share(self.escalated, self.asked)

    @property
    def unpriced_share(self) -> float | None:
        return _share(self.unpriced, self.priced + self.unpriced)

    @property
    def nano_usd_per_success(self) -> int | None:
        """Known cost per successful outcome; None without one, or where no price is known.

        Completions without usage count as if they had cost what the others did.
        """
        won, completed = self.ok + self.answered, self.ok + self.rejected
        measured = completed - self.unmeasured
        if not (won and self.priced) or (self.unmeasured and measured <= 0):
            return None
        whole = completed / measured if self.unmeasured else 1
        return round(self.cost_nano_usd * whole / won)

    @property
    def p50_ms(self) -> int | None:
        return percentile(self.histogram, 0.5)

    @property
    def p95_ms(self) -> int | None:
        return percentile(self.histogram, 0.95)


COUNTS = tuple(field.name for field in fields(Totals))[1:-2]


def total(rows: Iterable[Totals]) -> Totals:
    """Add up some groups; the sum has no key."""
    rows = list(rows)
    counts = {name: sum(getattr(row, name) for row in rows) for name in COUNTS}
    histogram = tuple(map(sum, zip(*(row.histogram for row in rows), strict=True)))
    return Totals((), **counts, asked=counts["calls"], histogram=histogram)


def sums(
    location: Location,
    by: Sequence[str],
    since: int,
    until: int = LATER,
    environment: str | None = None,
) -> list[Totals]:
    """Return the sums of the days from `since` up to before `until`, the dearest group first.

    `by` names some of GROUPS. `environment` None: every one but the demo's. A week's key is its
    first day, from `since` on. Raises LedgerError.
    """
    columns = [f"day - (day - {since}) % 7" if name == "week" else name for name in by]
    shared = [name for name in columns if name not in MODEL]
    asked = f"SUM(SUM(calls)) OVER (PARTITION BY {', '.join(shared) or 'NULL'})"
    measures = [*(f"SUM({name})" for name in COUNTS), asked, *(f"SUM({name})" for name in BUCKETS)]
    query = (
        f"SELECT {', '.join([*columns, *measures])} FROM rollup WHERE day >= ? AND day < ? "
        f"AND environment {'!=' if environment is None else '='} ? "
        + (f"GROUP BY {', '.join(columns)}" if by else "HAVING COUNT(*) > 0")
    )
    rows = select(location, query, (since, until, environment or DEMO))
    first, last = len(by), len(by) + len(COUNTS) + 1
    found = [Totals(row[:first], *row[first:last], histogram=row[last:]) for row in rows]
    return sorted(found, key=lambda row: (-row.cost_nano_usd, row.key))


def model_of(key: Sequence[str | None]) -> str:
    """Name a provider, model and deployment as fleet.toml and prices.toml do."""
    provider, model, deployment = key
    return f"{provider}:{model}" + (f"@{deployment}" if deployment else "")


def month_by_task(location: Location, environment: str | None = None) -> Counter[str]:
    """Return the nano-dollars of the calendar month (UTC) so far, by task type."""
    return Counter({row.key[0]: row.cost_nano_usd for row in this_month(location, environment)})


def this_month(location: Location, environment: str | None = None) -> list[Totals]:
    """Return the sums of the calendar month (UTC) so far, by task type; the demo costs nothing."""
    first = today() - day_of(today()).day + 1
    by = ("task_type",)
    return sums(location, by, first, LATER, environment) if environment != DEMO else []


def attempts_of(location: Location, run_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the attempts of some runs in the order they were made."""
    query = (
        "SELECT stage, chain, request_model, outcome, error_type, input_tokens, output_tokens, "
        f"cost_nano_usd FROM attempts WHERE run_id IN ({', '.join('?' * len(run_ids))}) "
        "ORDER BY ts_us, call_id, attempt"
    )
    return select(location, query, run_ids)


def mistakes(
    location: Location, kinds: Sequence[str], since_us: int, environment: str | None = None
) -> list[tuple[Any, ...]]:
    """Return the models that failed like this since a moment and have not answered after it.

    Rows of (provider, model, deployment, kind, how often). `environment` is that of `sums`.
    """
    query = (
        "SELECT provider, request_model, deployment, MAX(error_type), COUNT(error_type) "
        f"FROM attempts WHERE ts_us >= ? AND environment {'!=' if environment is None else '='} ? "
        f"AND (outcome = 'ok' OR error_type IN ({', '.join('?' * len(kinds))})) "
        "GROUP BY provider, request_model, deployment "
        "HAVING MAX(CASE outcome WHEN 'ok' THEN 0 ELSE ts_us END) "
        "> MAX(CASE outcome WHEN 'ok' THEN ts_us ELSE 0 END)"
    )
    return select(location, query, (since_us, environment or DEMO, *kinds))


def reasons(
    location: Location, since: int, environment: str | None = None
) -> list[tuple[str, int]]:
    """Return the three most frequent reasons why no answer came since a day, and how often.

    `environment` is that of `sums`.
    """
    query = (
        "SELECT error_type, COUNT(*) FROM attempts "
        f"WHERE ts_us >= ? AND environment {'!=' if environment is None else '='} ? "
        "AND outcome IN ('failed', 'rejected', 'skipped') AND error_type IS NOT NULL "
        "GROUP BY error_type ORDER BY COUNT(*) DESC, error_type LIMIT 3"
    )
    return [(kind, n) for kind, n in select(location, query, (since * DAY_US, environment or DEMO))]


def today() -> int:
    """Return the day it is, in UTC."""
    return int(time.time() // DAY_S)


def percentile(counts: Sequence[int], share: float) -> int | None:
    """Interpolate the latency (ms) below which `share` of the histogram lies, geometrically."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    totals = list(accumulate(counts))
    at = bisect_left(totals, wanted)
    lower = BOUNDS_MS[at - 1] if at else 1
    upper = BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
    return round(lower * (upper / lower) ** (1 - (totals[at] - wanted) / counts[at]))


def day_of(day: int) -> date:
    """Return a day's date; the last one there is where a clock ran far ahead."""
    return EPOCH + timedelta(days=min(day, (date.max - EPOCH).days))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
