"""Questions to the ledger's daily rollup, and its answer as text.

A day is a number: days since 1970-01-01, in UTC. A week is seven days; the last one ends today.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any, Protocol

from ..errors import LedgerError
from ..text import printable
from .attempt import DEMO
from .location import Location, select
from .rollup import BOUNDS_MS, BUCKETS

MODEL = ("request_model", "provider", "deployment")
GROUPS = ("task_type", *MODEL, "chain", "pipeline", "stage", "environment", "day", "week")
EPOCH = date(1970, 1, 1)
UNKNOWN = ("unpriced", "unmeasured")
LATER = 10**7
"""A day after every other: what a clock that ran ahead has written is counted too."""
HEADS = (
    *("attempts", "tokens in", "tokens out", "cost", "before", "per success", "p50 ms", "p95 ms"),
    *("failed", "escalated", "unpriced", "no usage"),
)


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
    """The sum of some groups, which has no key."""
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
    """The days from `since` up to before `until`, the dearest group first.

    `by` names some of GROUPS, or what only attempts have: `agent`, `user_ref`, `tag:KEY`.
    `environment` None: every one but the demo's. A week's key is its first day, from `since` on.
    """
    if not {*by} <= {*GROUPS}:
        raise LedgerError("That is in an extra: run `scaffold add extra cost_reports`.")
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


class AttemptSums(Protocol):
    """Sums by what only attempts have; `notes` say what a reader misses in such a report."""

    def sums(
        self,
        location: Location,
        by: Sequence[str],
        since: int,
        until: int,
        environment: str | None,
    ) -> list[Totals]: ...
    def notes(self, location: Location, report: "Report") -> list[str]: ...


class SavingReport(Protocol):
    """What a report's requests saved, as text and as exact numbers."""

    def saving_lines(self, report: "Report", /) -> list[str]: ...
    def saving_numbers(self, report: "Report", /) -> dict[str, Any] | None: ...


class Report:
    """The last `days` days, today among them, beside as many before them.

    Raises LedgerError where no ledger can be read.
    """

    def __init__(
        self,
        location: Location,
        by: Sequence[str],
        days: int,
        environment: str | None = None,
        of_attempts: AttemptSums | None = None,
    ) -> None:
        self.location = location
        self.by, self.days, self.environment = tuple(by), days, environment
        self.needs_attempts = not {*by} <= {*GROUPS}
        sum_up = of_attempts.sums if self.needs_attempts and of_attempts else sums
        self.today = today()
        self.since = self.today - days + 1
        self.rows = sum_up(location, by, self.since, LATER, environment)
        before = sum_up(location, by, self.since - days, self.since, environment)
        self.before = {row.key: row for row in before}
        models: list[Totals] = []
        if any(row.unpriced or row.unmeasured for row in self.rows):
            by = ("provider", "request_model", "deployment")
            models = sums(location, by, self.since, LATER, environment)
        self.unpriced = {model_of(row.key): row.unpriced for row in models if row.unpriced}
        self.unmeasured = {model_of(row.key): row.unmeasured for row in models if row.unmeasured}
        self.ahead = total(sums(location, (), self.today + 1, LATER, environment)).attempts

    def groups(self) -> Iterator[tuple[list[str], Totals, Totals | None]]:
        """Each group's name by column, its sums, and those of the days before."""
        for row in self.rows:
            pairs = zip(self.by, row.key, strict=True)
            name = [str(day_of(part) if by in ("day", "week") else part) for by, part in pairs]
            yield name, row, self.before.get(row.key)


def model_of(key: Sequence[str | None]) -> str:
    """A provider, model and deployment as fleet.toml and prices.toml name them."""
    provider, model, deployment = key
    return f"{provider}:{model}" + (f"@{deployment}" if deployment else "")


def month_by_task(location: Location, environment: str | None = None) -> Counter[str]:
    """Nano-dollars that the calendar month (UTC) has cost so far; the demo has cost nothing."""
    rows = _this_month(location, ("task_type",), environment)
    return Counter({row.key[0]: row.cost_nano_usd for row in rows})


def month_total(location: Location, environment: str | None = None) -> Totals:
    """What the calendar month (UTC) adds up to so far; the demo has cost nothing."""
    return total(_this_month(location, (), environment))


def _this_month(location: Location, by: Sequence[str], environment: str | None) -> list[Totals]:
    first = today() - day_of(today()).day + 1
    return sums(location, by, first, LATER, environment) if environment != DEMO else []


def environments(location: Location) -> list[str]:
    """Those that calls were made in, by name. Raises LedgerError."""
    query = "SELECT DISTINCT environment FROM rollup ORDER BY environment"
    return [name for (name,) in select(location, query)]


def attempts_of(location: Location, run_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The attempts of some runs in the order they were made."""
    query = (
        "SELECT stage, chain, request_model, outcome, error_type, input_tokens, output_tokens, "
        f"cost_nano_usd FROM attempts WHERE run_id IN ({', '.join('?' * len(run_ids))}) "
        "ORDER BY ts_us, call_id, attempt"
    )
    return select(location, query, run_ids)


def mistakes(location: Location, kinds: Sequence[str], since_us: int) -> list[tuple[Any, ...]]:
    """Models that failed in one of these ways since a moment and have not answered after it.

    Rows of (provider, model, deployment, kind, how often).
    """
    query = (
        "SELECT provider, request_model, deployment, MAX(error_type), COUNT(error_type) "
        "FROM attempts WHERE ts_us >= ? AND environment != ? "
        f"AND (outcome = 'ok' OR error_type IN ({', '.join('?' * len(kinds))})) "
        "GROUP BY provider, request_model, deployment "
        "HAVING MAX(CASE outcome WHEN 'ok' THEN 0 ELSE ts_us END) "
        "> MAX(CASE outcome WHEN 'ok' THEN ts_us ELSE 0 END)"
    )
    return select(location, query, (since_us, DEMO, *kinds))


def alarm(row: Totals) -> str:
    """What is wrong with a group in which nothing, or less than half, got an answer; or ""."""
    if row.skipped and not row.attempts + row.answered:
        return f"NO MODEL WAS ASKED: all {row.skipped:,} attempts were skipped."
    if not row.verdicts or 2 * (row.ok + row.answered) >= row.verdicts:
        return ""
    if not row.ok + row.answered:
        return f"ALL {row.verdicts:,} ATTEMPTS FAILED."
    return f"MOST ATTEMPTS FAILED: {percent(row.failure_rate)} of {row.verdicts:,}."


def as_text(asked: Report) -> str:
    """What has no price or no usage, both periods in a sentence, and a line per group."""
    now, last = total(asked.rows), total(asked.before.values())
    unpriced = f"{_left_out('Unpriced', asked.unpriced)} Add prices to prices.toml."
    if not asked.unpriced:
        unpriced = "Unpriced: none."
    if asked.unmeasured:
        unpriced += f"\n{_left_out('Answered without usage', asked.unmeasured)}"
    recorded = " that the demo recorded, billed to nobody" if asked.environment == DEMO else ""
    told = (
        f"{day_of(asked.since)} to {day_of(asked.today)}: {money(now)}{lacking(now)}, {now.calls:,} calls"
        f"{recorded}; the {asked.days} days before: {money(last)}{lacking(last)}, "
        f"{last.calls:,} calls."
    )
    if asked.ahead:
        told += f"\n{asked.ahead:,} calls are dated after today: a clock ran ahead."
    lines = [[*name, *cells(row, before)] for name, row, before in asked.groups()]
    return f"{unpriced}\n{told}\n\n{table([*asked.by, *HEADS], lines)}"


def cells(row: Totals, before: Totals | None) -> list[str]:
    """A group's figures under HEADS."""
    return [
        *(f"{count:,}" for count in (row.attempts, row.input_tokens, row.output_tokens)),
        *(money(row), money(before) if before else "-", per_success(row)),
        *("-" if ms is None else f"{ms:,}" for ms in (row.p50_ms, row.p95_ms)),
        *map(percent, (row.failure_rate, row.escalation_rate, row.unpriced_share)),
        f"{row.unmeasured:,}",
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads; numbers and dollars to the right, `-` for nothing."""
    lines = [["-" if cell in (None, "") else _cell(cell) for cell in row] for row in rows]
    columns: list[list[str]] = []
    for head, *cells in zip(heads, *lines, strict=True):
        number = cells and all(one[:1] in "≥≈$-0123456789" or one in UNKNOWN for one in cells)
        width = max(map(len, [head, *cells]))
        shown = [head, "-" * width, *cells]
        columns.append([one.rjust(width) if number else one.ljust(width) for one in shown])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _cell(cell: object) -> str:
    return " ".join(printable(cell).split())


def money(row: Totals) -> str:
    """A group's cost: `≥` while a part of it is not known, one of UNKNOWN while all of it is."""
    if row.priced:
        return ("≥" if row.unpriced or row.unmeasured else "") + dollars(row.cost_nano_usd)
    return UNKNOWN[0] if row.unpriced else UNKNOWN[1] if row.unmeasured else dollars(None)


def lacking(row: Totals) -> str:
    """How many calls a sum leaves out, in brackets: those without a price or without usage."""
    told = [f"{row.unpriced:,} unpriced"] if row.unpriced else []
    told += [f"{row.unmeasured:,} without usage"] if row.unmeasured else []
    return f" (lacks {' and '.join(told)})" if told else ""


def per_success(row: Totals) -> str:
    """A group's cost per successful outcome: `≥` without some prices, `≈` without some usage."""
    known = row.nano_usd_per_success
    mark = "≥" if row.unpriced else "≈" if row.unmeasured else ""
    return mark + dollars(known) if known is not None else dollars(None)


def _left_out(what: str, models: Mapping[str, int]) -> str:
    told = ", ".join(f"{model} ({count:,})" for model, count in models.items())
    return f"{what}: {sum(models.values()):,}, in no figure below: {told}."


def dollars(nano_usd: int | None) -> str:
    """US dollars that keep three significant digits: `$0.000042`, never `$0.00`."""
    if nano_usd is None:
        return "-"
    usd = Decimal(nano_usd).scaleb(-9)
    cents = max(2, 2 - usd.adjusted()) if usd else 2
    shown = f"{round(usd, cents):,f}"
    return "$" + (shown.rstrip("0") if cents > 2 else shown)


def percent(share: float | None) -> str:
    """A share as `12.3 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def today() -> int:
    """The day it is, in UTC."""
    return int(time.time() // 86_400)


def percentile(counts: Sequence[int], share: float) -> int | None:
    """The latency (ms) below which `share` of the histogram lies, interpolated geometrically."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    totals = list(accumulate(counts))
    at = bisect_left(totals, wanted)
    lower = BOUNDS_MS[at - 1] if at else 1
    upper = BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
    return round(lower * (upper / lower) ** (1 - (totals[at] - wanted) / counts[at]))


def day_of(day: int) -> date:
    """A day's date; the last one there is where a clock ran far ahead."""
    return EPOCH + timedelta(days=min(day, (date.max - EPOCH).days))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
