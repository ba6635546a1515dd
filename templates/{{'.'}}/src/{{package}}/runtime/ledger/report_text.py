"""The report of `costs`, and the figures of the ledger as text: amounts, shares, tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..fleet import Fleet
from ..text import printable
from .attempt import DEMO
from .location import Location
from .queries import LATER, MODEL, Totals, day_of, model_of, sums, today, total

if TYPE_CHECKING:
    from .prices import Prices

UNKNOWN = ("unpriced", "unmeasured")
HEADS = (
    *("attempts", "tokens in", "tokens out", "cost", "before", "per success", "p50 ms", "p95 ms"),
    *("failed", "escalated", "unpriced", "no usage"),
)
Sums = Callable[[Location, Sequence[str], int, int, str | None], list[Totals]]
"""Adds up as `queries.sums` does."""


class AttemptSums(Protocol):
    """Sums by what only attempts have; `notes` say what a reader misses in such a report."""

    sums: Sums

    def notes(self, report: "Report", /) -> list[str]: ...


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
        sum_up: Sums = sums,
    ) -> None:
        self.location, self.by = location, tuple(by)
        self.days, self.environment = days, environment
        self.today = today()
        self.since = self.today - days + 1
        self.rows = sum_up(location, by, self.since, LATER, environment)
        before = sum_up(location, by, self.since - days, self.since, environment)
        self.before = {row.key: row for row in before}
        models = sums(location, MODEL, self.since, LATER, environment)
        self.unpriced = {model_of(row.key): row.unpriced for row in models if row.unpriced}
        self.unmeasured = {model_of(row.key): row.unmeasured for row in models if row.unmeasured}
        self.ahead = total(sums(location, (), self.today + 1, LATER, environment)).attempts

    def groups(self) -> Iterator[tuple[list[str], Totals, Totals | None]]:
        """Yield each group's name by column, its sums, and those of the days before."""
        for row in self.rows:
            pairs = zip(self.by, row.key, strict=True)
            name = [str(day_of(part) if by in ("day", "week") else part) for by, part in pairs]
            yield name, row, self.before.get(row.key)


class ShownSaving(NamedTuple):
    """What the requests of a report saved, as text and as exact numbers."""

    text: str
    numbers: dict[str, Any]


ShowSaving = Callable[[Report, Fleet, "Prices"], ShownSaving | None]
"""Compares the requests of a report with calls of one model."""


def alarm(row: Totals) -> str:
    """Say what is wrong with a group in which less than half got an answer; else ""."""
    if row.skipped and not row.attempts + row.answered:
        return f"NO MODEL WAS ASKED: all {row.skipped:,} attempts were skipped."
    if not row.verdicts or 2 * (row.ok + row.answered) >= row.verdicts:
        return ""
    if not row.ok + row.answered:
        return f"ALL {row.verdicts:,} ATTEMPTS FAILED."
    return f"MOST ATTEMPTS FAILED: {percent(row.failure_rate)} of {row.verdicts:,}."


def as_text(asked: Report) -> str:
    """Write what has no price or usage, both periods in a sentence, and a line per group."""
    now, last = total(asked.rows), total(asked.before.values())
    unpriced = f"{_left_out('Unpriced', asked.unpriced)} Add prices to prices.toml."
    if not asked.unpriced:
        unpriced = "Unpriced: none."
    if asked.unmeasured:
        unpriced += f"\n{_left_out('Answered without usage', asked.unmeasured)}"
    recorded = " that the demo recorded, billed to nobody" if asked.environment == DEMO else ""
    periods = (
        f"{day_of(asked.since)} to {day_of(asked.today)}: {money(now)}{lacking(now)}, {now.calls:,} calls"
        f"{recorded}; the {asked.days} days before: {money(last)}{lacking(last)}, "
        f"{last.calls:,} calls."
    )
    if asked.ahead:
        periods += f"\n{asked.ahead:,} calls are dated after today: a clock ran ahead."
    lines = [[*name, *cells(row, before)] for name, row, before in asked.groups()]
    return f"{unpriced}\n{periods}\n\n{table([*asked.by, *HEADS], lines)}"


def cells(row: Totals, before: Totals | None) -> list[str]:
    """Write a group's figures under HEADS."""
    return [
        *(f"{count:,}" for count in (row.attempts, row.input_tokens, row.output_tokens)),
        *(money(row), money(before) if before else "-", per_success(row)),
        *("-" if ms is None else f"{ms:,}" for ms in (row.p50_ms, row.p95_ms)),
        *map(percent, (row.failure_rate, row.escalation_rate, row.unpriced_share)),
        f"{row.unmeasured:,}",
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Set columns under their heads; numbers and dollars to the right, `-` for nothing."""
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
    """Write a group's cost: `≥` while a part of it is not known, one of UNKNOWN while all of it is."""
    if row.priced:
        return ("≥" if row.unpriced or row.unmeasured else "") + dollars(row.cost_nano_usd)
    return UNKNOWN[0] if row.unpriced else UNKNOWN[1] if row.unmeasured else dollars(None)


def lacking(row: Totals) -> str:
    """Say in brackets how many calls a sum leaves out: those without a price or usage."""
    parts = [f"{row.unpriced:,} unpriced"] if row.unpriced else []
    parts += [f"{row.unmeasured:,} without usage"] if row.unmeasured else []
    return f" (lacks {' and '.join(parts)})" if parts else ""


def per_success(row: Totals) -> str:
    """Write the cost per successful outcome: `≥` without some prices, `≈` without some usage."""
    known = row.nano_usd_per_success
    mark = "≥" if row.unpriced else "≈" if row.unmeasured else ""
    return mark + dollars(known) if known is not None else dollars(None)


def _left_out(what: str, models: Mapping[str, int]) -> str:
    names = ", ".join(f"{model} ({count:,})" for model, count in models.items())
    return f"{what}: {sum(models.values()):,}, in no figure below: {names}."


def dollars(nano_usd: int | None) -> str:
    """Write US dollars with three significant digits: `$0.000042`, never `$0.00`."""
    if nano_usd is None:
        return "-"
    usd = Decimal(nano_usd).scaleb(-9)
    cents = max(2, 2 - usd.adjusted()) if usd else 2
    shown = f"{round(usd, cents):,f}"
    return "$" + (shown.rstrip("0") if cents > 2 else shown)


def percent(share: float | None) -> str:
    """Write a share as `12.3 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"
