"""Say which renders of the matrix have their turn today: all of them would take an hour."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import pytest

from tests import harness

RENDERS: dict[str, dict[str, Any]] = {
    name: answers
    for source in (harness.alone, harness.presets, harness.odd, harness.pairs)
    for name, answers in source(harness.CATALOG)
} | {"default": {}}

PAIRS = [name for name in RENDERS if name.startswith("pair_")]
PAIRS_A_DAY = 4
SINGLES = [name for name, _ in harness.alone(harness.CATALOG) if name != "core"]
SINGLES_A_DAY = 15


def choose_share(names: list[str], a_day: int, today: date) -> set[str]:
    """Return the names of a day: each has its turn once before any has a second one."""
    first = today.toordinal() * a_day
    return {names[at % len(names)] for at in range(first, first + a_day)}


def renders_of_the_day(today: date) -> set[str]:
    """Return the single features and the pairs whose day it is."""
    singles = choose_share(SINGLES, SINGLES_A_DAY, today)
    return singles | choose_share(PAIRS, PAIRS_A_DAY, today)


def mark_renders(names: Iterable[str]) -> Iterator[Any]:
    """Yield each render; those that take turns are marked as today's, or as the full matrix's."""
    today = renders_of_the_day(date.today())
    for name in names:
        mark = pytest.mark.of_the_day if name in today else pytest.mark.full
        yield pytest.param(name, marks=[mark] if name in {*SINGLES, *PAIRS} else [])
