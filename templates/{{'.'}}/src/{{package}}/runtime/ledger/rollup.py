"""The daily sums of the ledger, in SQL that SQLite and PostgreSQL both understand.

Each day, environment, task type, model and so on has one row of counters, which is written in the
transaction of the attempts that it counts. Summing up a million attempts instead takes ten
seconds; the sums also outlive attempts that are too old to keep.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from .attempt import DAY_US, TOKENS, VERDICT, Attempt, Outcome

Execute = Callable[[str, Sequence[Any]], int]
"""Runs SQL with `?` for values, and returns the number of rows that it changed."""
Statement = tuple[str, Sequence[Any]]

BOUNDS_MS = (
    *(10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000),
    *(7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000),
)
"""Upper bounds of the latency histogram; a bucket counts what is above the bound before it."""
BUCKETS = (*(f"ms_{bound}" for bound in BOUNDS_MS), "ms_more")
ROLLUP_KEY = (
    *("day", "environment", "writer", "task_type", "provider", "deployment"),
    *("request_model", "chain", "pipeline", "stage"),
)
OUTCOMES = tuple(Outcome)
_KEYS = {"day": f"ts_us / {DAY_US}", "writer": "?"} | {
    name: f"COALESCE({name}, '')" for name in ("deployment", "pipeline")
}
# No lists of IN: SQLite builds a table for each of them.
_REACHED = "outcome != 'skipped' AND outcome != 'escalated' AND outcome != 'answered'"
_TIMED = f"{_REACHED} AND outcome != 'aborted'"
_PRICED = "cost_source != 'unpriced' AND cost_source != 'none'"
_WASTED = f"{_PRICED} AND (outcome = 'failed' OR outcome = 'rejected' OR outcome = 'aborted')"
# Tokens are not needed where a server is paid by the hour, or the provider reports the cost.
_UNCOUNTED = (
    "outcome != 'failed' AND (input_tokens IS NULL OR output_tokens IS NULL) "
    "AND cost_nano_usd IS NULL"
)
_EDGES = (-(2**62), *BOUNDS_MS, 2**62)


def _sum(which: str, value: str = "1") -> str:
    return f"COALESCE(SUM({value}) FILTER (WHERE {which}), 0)"


COUNTERS = {
    "calls": _sum("attempt = 1"),
    "attempts": _sum(_REACHED),
    **{str(outcome): _sum(f"outcome = '{outcome}'") for outcome in OUTCOMES},
    "fallbacks": _sum("outcome = 'ok' AND attempt > 1"),
    "priced": _sum(_PRICED),
    "unpriced": _sum("cost_source = 'unpriced'"),
    "unmeasured": _sum(f"{_TIMED} AND {_UNCOUNTED}"),
    **{tokens: _sum(_REACHED, tokens) for tokens in TOKENS},
    "cost_nano_usd": _sum(_PRICED, "cost_nano_usd"),
    "wasted_nano_usd": _sum(_WASTED, "cost_nano_usd"),
    "quality_n": _sum("quality IS NOT NULL"),
    "quality_milli": _sum("quality IS NOT NULL", "CAST(ROUND(quality * 1000) AS BIGINT)"),
    "latency_ms": _sum(_TIMED, "latency_ms"),
    **{
        bucket: _sum(f"{_TIMED} AND latency_ms > {above} AND latency_ms <= {bound}")
        for bucket, (above, bound) in zip(BUCKETS, pairwise(_EDGES), strict=True)
    },
}
"""The columns that count, each with its SQL over the attempts of a group."""


def add_to_rollup(rows: str, counters: Mapping[str, str] = COUNTERS) -> str:
    """Return SQL that adds rows of `attempts` to the rollup; its first value is the writer."""
    keys = [_KEYS.get(name, name) for name in ROLLUP_KEY]
    return (
        f"INSERT INTO rollup ({', '.join((*ROLLUP_KEY, *counters))}) "
        f"SELECT {', '.join((*keys, *counters.values()))} FROM {rows} "
        f"GROUP BY {', '.join(str(at + 1) for at in range(len(keys)))} "
        f"ON CONFLICT ({', '.join(ROLLUP_KEY)}) DO UPDATE SET "
        f"{', '.join(f'{name} = rollup.{name} + excluded.{name}' for name in counters)}"
    )


KEY = "call_id = ? AND attempt = ?"
KEY_WITH_DAY = f"{KEY} AND day = ?"
_OPEN = "(outcome = 'aborted' OR (outcome = 'ok' AND error_type IS NULL))"


def set_verdicts(
    execute: Execute, writer: str, rows: Sequence[Attempt], *, with_day: bool = False
) -> None:
    """Record how rows ended that were written as "aborted" before they were examined.

    A good answer that was replaced gets its `error_type` in the same way. The rollup loses what
    each row counted for and gains what it counts for now. `with_day`: the table has a column day.
    """
    subtract, update, add = _verdict_sql(KEY_WITH_DAY if with_day else KEY)
    for row in rows:
        key: list[Any] = [row.call_id, row.attempt]
        key += [row.ts_us // DAY_US] if with_day else []
        execute(subtract, (writer, *key))
        if execute(update, (*(getattr(row, name) for name in VERDICT), *key)):
            execute(add, (writer, *key))


@cache
def _verdict_sql(key: str) -> tuple[str, str, str]:
    rows = f"attempts WHERE {key}"
    subtracted = {name: f"-{total}" for name, total in COUNTERS.items()}
    columns = ", ".join(f"{name} = ?" for name in VERDICT)
    update = f"UPDATE attempts SET {columns} WHERE {key} AND {_OPEN}"
    return add_to_rollup(f"{rows} AND {_OPEN}", subtracted), update, add_to_rollup(rows)
