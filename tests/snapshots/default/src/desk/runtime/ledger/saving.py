"""What requests cost, beside one call of one model for each of them.

That call reads the request, with its document or sources, and writes the answer that was delivered.
Classifiers, extraction, drafts, judges and retries cost the fleet and are not a part of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..fleet import ModelRef
from .attempt import DAY_US, DEMO, NOT_DELIVERED
from .location import Location, select
from .queries import day_of, sums
from .report_text import dollars, percent

if TYPE_CHECKING:
    from ..subagent import SubAgent
    from .prices import Prices

CHARS_PER_TOKEN = 4
MOST_ROWS = 100_000
"""A longer period is cut to its last whole days with about so many attempts."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one model would read and write of a pipeline, by its stages.

    It reads what the first call of `reads` reads, and writes what the last call of `writes` wrote.
    `each` is the sub-agent of `reads` where its calls read a piece each: then it reads all pieces,
    and once what every call reads beside them.
    """

    reads: str
    writes: tuple[str, ...]
    each: "SubAgent[Any] | None" = None

    def repeated_tokens(self) -> int:
        """Estimate what each piece's call reads beside the piece, by its characters."""
        if self.each is None:
            return 0
        typed = self.each.parameters.output_object
        schema = json.dumps(typed.json_schema) if typed else ""
        return len(self.each.prompt() + schema) // CHARS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Saving:
    """Nano-dollars of some requests, and of one call of `model` for each that was answered.

    `unanswered` requests got no answer of a model: what they cost counts, and no call of `model`
    does. `left_out` ones lack a price or a token count and are in neither figure.
    `baseline_nano_usd` None: `model` has no price. `since`: the day that the figures begin.
    """

    model: str
    since: int
    answered: int = 0
    unanswered: int = 0
    left_out: int = 0
    cost_nano_usd: int = 0
    baseline_nano_usd: int | None = 0

    @property
    def requests(self) -> int:
        """Those whose cost counts."""
        return self.answered + self.unanswered

    @property
    def saved_nano_usd(self) -> int | None:
        """Below 0 where the fleet cost more."""
        known = self.baseline_nano_usd
        return None if known is None else known - self.cost_nano_usd

    @property
    def share(self) -> float | None:
        """What was saved of the baseline's cost."""
        saved, baseline = self.saved_nano_usd, self.baseline_nano_usd
        return saved / baseline if saved is not None and baseline else None

    def __str__(self) -> str:
        saved, each = self.saved_nano_usd, f"one call of {self.model} each"
        requests = "request" if self.requests == 1 else "requests"
        cost = f"{self.requests:,} {requests} cost {dollars(self.cost_nano_usd)}"
        if saved is None:
            return f"{cost}; {each}: unknown, add its price to prices.toml.{self._apart}"
        if not (saved or self.cost_nano_usd):
            return f"{cost}: there is nothing to compare with {each}.{self._apart}"
        share = f" ({percent(abs(self.share))})" if self.share is not None else ""
        result = f"saved {dollars(saved)}" if saved >= 0 else f"cost {dollars(-saved)} more"
        return f"{cost}; {each} {dollars(self.baseline_nano_usd)}; {result}{share}.{self._apart}"

    @property
    def _apart(self) -> str:
        notes = {
            "got no answer of a model, so no such call counts for them.": self.unanswered,
            "more are left out: a price or a token count is not known.": self.left_out,
        }
        return "".join(f" {count:,} {note}" for note, count in notes.items() if count)


class Row(NamedTuple):
    """The columns of an attempt that a saving is made of."""

    run_id: str
    ts_us: int
    call_id: str
    parent_id: str | None
    pipeline: str | None
    stage: str
    provider: str
    request_model: str
    deployment: str | None
    outcome: str
    error_type: str | None
    service_tier: str | None
    input_tokens: int | None
    output_tokens: int | None
    reasoning_output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    cost_nano_usd: int | None
    cost_source: str


class Comparison:
    """Compares requests with calls of one model, at its prices of the day."""

    def __init__(
        self, prices: "Prices", model: ModelRef, baselines: Mapping[str, Baseline]
    ) -> None:
        self._prices, self._model, self._baselines = prices, model, baselines
        self._price = cache(self._price_call)
        self._repeated_tokens = cache(self._count_repeated)

    def over(self, location: Location, since: int, environment: str | None = None) -> Saving:
        """Compare the requests from a day on. Raises LedgerError."""
        since = _cut(location, since, environment)
        which = f"AND environment {'!=' if environment is None else '='} ?"
        runs = _runs(location, which, (since * DAY_US, environment or DEMO))
        return self._of(runs.values(), since)

    def of_runs(self, location: Location, run_ids: Sequence[str]) -> Saving:
        """Compare the requests with these run ids, those that have rows. Raises LedgerError."""
        # An id begins with the milliseconds of its time: no index finds it, but one of time does.
        first = min((int(run_id[:12], 16) for run_id in run_ids), default=0) * 1000
        found = _runs(location, "", (first,))
        runs = [found.get(run_id, []) for run_id in dict.fromkeys(run_ids)]
        return self._of(runs, first // DAY_US)

    def _of(self, runs: Iterable[list[Row]], since: int) -> Saving:
        answered = unanswered = left_out = cost = 0
        baseline: int | None = 0
        for rows in runs:
            if rows and all(row.stage == "doctor" for row in rows):
                continue  # `doctor --live` asked, nobody requested it
            if not rows or not all(map(_is_known, rows)):
                left_out += 1
                continue
            cost += sum(row.cost_nano_usd or 0 for row in rows)
            read, written = self._work(rows)
            if written is None or not read:
                unanswered += 1
                continue
            answered += 1
            one = self._one_call(read, written)
            baseline = None if one is None or baseline is None else baseline + one
        return Saving(str(self._model), since, answered, unanswered, left_out, cost, baseline)

    def _work(self, rows: Sequence[Row]) -> tuple[list[Row], Row | None]:
        """Return the calls whose input is the request's, and the one whose output was delivered."""
        pipeline = next((row.pipeline for row in rows if row.pipeline), None)
        own = [row for row in rows if not row.parent_id and row.pipeline == pipeline]
        if pipeline is None:  # a chain used by itself; else the router got no further
            own = [row for row in own if row.stage == "direct"]
        good = [row for row in own if row.outcome == "ok"]
        by_person = any(row.outcome in ("escalated", "answered") for row in own)
        if by_person or not good or good[-1].call_id != own[-1].call_id:
            return [], None
        baseline = self._baselines.get(pipeline or "")
        if baseline is None:
            return good[-1:], good[-1]
        read = [row for row in good if row.stage == baseline.reads]
        delivered = [row for row in good if row.error_type != NOT_DELIVERED]
        written = [row for row in delivered if row.stage in baseline.writes]
        return read if baseline.each is not None else read[:1], written[-1] if written else None

    def _one_call(self, read: Sequence[Row], written: Row) -> int | None:
        """Price a call with this input and output; None: unpriced."""
        ref = ModelRef(written.provider, written.request_model, written.deployment)
        if ref == self._model and [*read] == [written]:
            return written.cost_nano_usd  # it was that call
        first, *others = read
        asked = (first.input_tokens or 0) + sum(
            max(0, (row.input_tokens or 0) - self._repeated_tokens(row.pipeline or ""))
            for row in others
        )
        cached = sum(row.cache_read_input_tokens or 0 for row in read)
        stored = sum(row.cache_creation_input_tokens or 0 for row in read)
        # How long another model thinks is not known: the answer alone counts.
        answer = (written.output_tokens or 0) - (written.reasoning_output_tokens or 0)
        batch = "batch" in (written.service_tier or "").split()  # half the price for any model
        day = written.ts_us // DAY_US
        return self._price(day, asked, min(cached, asked), stored, max(0, answer), batch)

    def _count_repeated(self, pipeline: str) -> int:
        return self._baselines[pipeline].repeated_tokens()

    def _price_call(
        self, day: int, asked: int, cached: int, stored: int, answer: int, batch: bool
    ) -> int | None:
        from pydantic_ai.usage import RequestUsage

        usage = RequestUsage(input_tokens=asked, output_tokens=answer)
        usage.cache_read_tokens = cached
        usage.cache_write_tokens = min(stored, asked - cached)
        at = datetime.combine(day_of(day), time(), UTC)
        context = {"service_tier": "batch"} if batch else None
        return self._prices.cost(self._model, usage, context=context, at=at).nano_usd


def _is_known(row: Row) -> bool:
    uncounted = row.input_tokens is None or row.output_tokens is None
    return row.cost_source != "unpriced" and not (row.outcome in ("ok", "rejected") and uncounted)


def _runs(location: Location, which: str, values: Sequence[Any]) -> dict[str, list[Row]]:
    query = (
        f"SELECT {', '.join(Row._fields)} FROM attempts WHERE ts_us >= ? {which} "
        "ORDER BY ts_us, call_id, attempt"
    )
    runs: dict[str, list[Row]] = {}
    for values_ in select(location, query, values):
        runs.setdefault(values_[0], []).append(Row(*values_))
    return runs


def _cut(location: Location, since: int, environment: str | None) -> int:
    """Return the first day from which on there are few attempts; at the latest the last day."""
    days = sums(location, ("day",), since, environment=environment)
    rows = 0
    for day in sorted(days, key=lambda one: one.key, reverse=True):
        rows += day.attempts + day.skipped
        if rows > MOST_ROWS:
            return max(since, min(day.key[0] + 1, max(one.key[0] for one in days)))
    return since
