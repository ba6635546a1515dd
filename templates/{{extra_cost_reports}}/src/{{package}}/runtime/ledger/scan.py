"""Sums by what only the attempts have: the sub-agent, who asked, a tag.

The daily rollup does not tell these apart, so every attempt of the period is read, day by day.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import add
from typing import Any

from . import queries
from .attempt import DAY_US, DEMO
from .location import Location, select
from .queries import COUNTS, GROUPS, LATER, MODEL, Totals
from .report_text import Report
from .rollup import BUCKETS, COUNTERS

TAG = "tag:"
Key = tuple[Any, ...]


def sums(
    location: Location, by: Sequence[str], since: int, until: int, environment: str | None
) -> list[Totals]:
    """Add up as `queries.sums`, the attempts that retention has left. Progress goes to a terminal."""
    groups: dict[Key, list[int]] = {}
    days = queries.sums(location, ("day",), since, until, environment)
    all_, done = queries.total(days).attempts, 0
    for day in sorted(days, key=lambda row: row.key):
        for key, numbers in _groups_of_day(location, by, day.key[0], since, environment):
            groups[key] = [*map(add, groups[key], numbers)] if key in groups else numbers
        done += day.attempts
        _show(f"{done:,} of {all_:,} attempts")
    _show("")
    return _totals(by, groups)


def notes(report: Report) -> list[str]:
    """Return what a reader misses in a report by user, sub-agent or tag, each with what to do."""
    every = queries.sums(report.location, (), report.since, LATER, report.environment)
    there, found = queries.total(every).attempts, queries.total(report.rows).attempts
    names = {name: _title(name) for name in report.by if name not in GROUPS}
    notes: list[str] = []
    if found < there:
        notes.append(
            f"{there - found:,} of {there:,} attempts are left out: their rows were removed, and "
            f"the daily sums have no {' or '.join(names.values())}. Use `costs --by task,model`."
        )
    for name, title in names.items() if report.rows else ():
        at = report.by.index(name)
        if not any(row.key[at] for row in report.rows):
            known = _tags(report.location, report.since) if name.startswith(TAG) else []
            known = f": the tags are {', '.join(known)}" if known else ""
            notes.append(f"No call of these {report.days} days has a {title}{known}.")
    return notes


def _title(name: str) -> str:
    return name.removeprefix(TAG).removesuffix("_ref")


def _tags(location: Location, since: int) -> list[str]:
    """Return the tags that calls have had since a day, by name."""
    query = "SELECT DISTINCT tags FROM attempts WHERE ts_us >= ?"
    rows = select(location, query, (since * DAY_US,))
    return sorted({tag for (tags,) in rows for tag in json.loads(tags)})


def _groups_of_day(
    location: Location, by: Sequence[str], day: int, since: int, environment: str | None
) -> Iterator[tuple[Key, list[int]]]:
    dated = {"day": day, "week": day - (day - since) % 7}
    texts = [name for name in by if name not in dated]
    tags = [name.removeprefix(TAG) for name in texts if name.startswith(TAG)]
    columns = [f"COALESCE({name}, '')" for name in texts if not name.startswith(TAG)]
    columns += ["tags"] if tags else []
    measures = [COUNTERS[name] for name in (*COUNTS, *BUCKETS)]
    query = (
        f"SELECT {', '.join([*columns, *measures])} FROM attempts WHERE ts_us >= ? AND ts_us < ? "
        f"AND environment {'!=' if environment is None else '='} ? GROUP BY {', '.join(columns)}"
    )
    values = (day * DAY_US, (day + 1) * DAY_US, environment or DEMO)
    for row in select(location, query, values):
        known: dict[str, Any] = dict(zip(columns, row, strict=False))
        tagged = json.loads(known.get("tags", "{}"))
        named = {name: known.get(f"COALESCE({name}, '')") for name in texts}
        named |= {TAG + tag: str(tagged.get(tag, "")) for tag in tags}
        key = tuple((dated | named)[name] for name in by)
        yield key, list(row[len(columns) :])


def _totals(by: Sequence[str], groups: dict[Key, list[int]]) -> list[Totals]:
    shared = [at for at, name in enumerate(by) if name not in MODEL]
    asked: Counter[Key] = Counter()
    for key, numbers in groups.items():
        asked[tuple(key[at] for at in shared)] += numbers[0]
    found = [
        Totals(
            key,
            *numbers[: len(COUNTS)],
            asked=asked[tuple(key[at] for at in shared)],
            histogram=tuple(numbers[len(COUNTS) :]),
        )
        for key, numbers in groups.items()
    ]
    return sorted(found, key=lambda row: (-row.cost_nano_usd, row.key))


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
