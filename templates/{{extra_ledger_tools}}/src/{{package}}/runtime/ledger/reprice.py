"""Costs for attempts that were unpriced when they were made."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic_ai.usage import RequestUsage

from ..fleet import ModelRef
from .attempt import Attempt
from .location import Database, Location, connect
from .prices import Prices
from .rollup import COUNTERS, add_to_rollup
from .transfer import pages

SET_COST = (
    "UPDATE attempts SET cost_nano_usd = ?, cost_source = ?, price_version = ? "
    "WHERE call_id = ? AND attempt = ? AND cost_source = 'unpriced'"
)
# A row that has its cost already, and was counted as unpriced.
_COUNTED_ANEW = ("priced", "cost_nano_usd", "wasted_nano_usd")
ADD_COST = add_to_rollup(
    "attempts WHERE call_id = ? AND attempt = ?",
    {name: COUNTERS[name] if name in _COUNTED_ANEW else "0" for name in COUNTERS}
    | {"unpriced": "-1"},
)


@dataclass
class Repricing:
    """What came of it, by model: attempts that have a cost now, their nano-USD, and the rest."""

    priced: Counter[str] = field(default_factory=Counter[str])
    nano_usd: Counter[str] = field(default_factory=Counter[str])
    unpriced: Counter[str] = field(default_factory=Counter[str])


def reprice(
    location: Location, prices: Prices, *, dry_run: bool, progress: Callable[[int], None]
) -> Repricing:
    """Price unpriced attempts at the prices of their day. A dry run changes nothing.

    Raises LedgerError; what was priced until then stays priced.
    """
    result, seen = Repricing(), 0
    database = None if dry_run else connect(location)
    try:
        for rows in pages(location, "cost_source = 'unpriced'", -1, 2**62):
            now_priced = [priced for row in rows if (priced := _price(row, prices, result))]
            if database and now_priced:
                _book(database, now_priced)
            seen += len(rows)
            progress(seen)
    finally:
        if database:
            database.close()
    return result


def _book(database: Database, rows: Sequence[Attempt]) -> None:
    """Give rows that are still unpriced their cost, and the rollup as well, in one transaction."""
    with database.transaction() as execute:
        for row in rows:
            key = (row.call_id, row.attempt)
            if execute(SET_COST, (row.cost_nano_usd, row.cost_source, row.price_version, *key)):
                execute(ADD_COST, (database.writer, *key))


def _price(row: Attempt, prices: Prices, result: Repricing) -> Attempt | None:
    ref = ModelRef(row.provider, row.request_model, row.deployment)
    cost = prices.cost(
        ref,
        usage_of(row),
        context={"service_tier": row.service_tier},
        at=datetime.fromtimestamp(row.ts_us / 1_000_000, UTC),
        seconds=row.latency_ms / 1000,
        served=row.response_model,
    )
    if cost.nano_usd is None:
        result.unpriced[str(ref)] += 1
        return None
    result.priced[str(ref)] += 1
    result.nano_usd[str(ref)] += cost.nano_usd
    # The tokens of what broke off are an estimate, whatever they are priced by.
    source = "estimated" if row.outcome in ("aborted", "failed") else cost.source
    return replace(row, cost_nano_usd=cost.nano_usd, cost_source=source, price_version=cost.version)


def usage_of(row: Attempt) -> RequestUsage:
    """Return an attempt's usage as its provider reported it."""
    other: Mapping[str, Any] = json.loads(row.other_units or "{}")
    return RequestUsage(
        input_tokens=row.input_tokens or 0,
        output_tokens=row.output_tokens or 0,
        cache_read_tokens=row.cache_read_input_tokens or 0,
        cache_write_tokens=row.cache_creation_input_tokens or 0,
        output_reasoning_tokens=row.reasoning_output_tokens or 0,
        **other,
    )
