"""Whose fault it is that time ran out: on a clock that the test moves."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from desk.runtime.stalls import TimeLimit


class Clock:
    """An event loop's clock, and the one timer that a limit sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = 0.0
        self.look: Callable[[], None] | None = None
        self.ended_at: float | None = None

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, look: Callable[[], None]) -> Any:
        self.due, self.look = due, look
        return SimpleNamespace(cancel=lambda: None)

    def reschedule(self, now: float) -> None:
        self.ended_at = now

    def run(self, until: float) -> None:
        """Let the loop do its work in time."""
        while self.ended_at is None and self.due <= until:
            self.stand_still(self.due)

    def stand_still(self, until: float) -> None:
        """Let the loop do nothing until then."""
        look, self.look, self.now = self.look, None, max(self.now, until)
        assert look
        look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    return clock


def limit(clock: Clock, *, latest: float) -> TimeLimit:
    """Return a limit of a call that has to be done at `latest`: 20 seconds from now."""
    made = TimeLimit(cast("asyncio.Timeout", clock), latest)
    made.set(20)
    return made


@pytest.mark.parametrize(
    ("latest", "stall_s", "ended_at", "is_lost"),
    [
        (20, 0, 20, False),
        (20, 0.5, 20, False),  # the model had all but half a second of its time
        (20, 15, 20, True),
        (20, 25, 26, True),
        (90, 0.5, 20.5, False),  # what was lost is given back
        (90, 15, 35, False),
    ],
)
def test_a_stall_is_to_blame_where_it_took_most_of_the_time(
    clock: Clock, latest: float, stall_s: float, ended_at: float, is_lost: bool
) -> None:
    one = limit(clock, latest=latest)
    clock.run(until=1)
    clock.stand_still(1 + stall_s)
    clock.run(until=100)
    assert clock.ended_at == pytest.approx(ended_at, abs=0.11)
    assert one.is_lost() is is_lost


def test_a_stall_that_ends_with_the_time_is_to_blame(clock: Clock) -> None:
    one = limit(clock, latest=20)
    clock.run(until=19.5)
    clock.stand_still(20.1)
    assert clock.ended_at is not None
    assert one.is_lost()


def test_a_stall_before_a_time_began_is_not_to_blame(clock: Clock) -> None:
    one = limit(clock, latest=20)
    clock.stand_still(15)
    one.set(5)
    clock.run(until=100)
    assert clock.ended_at == pytest.approx(20, abs=0.11)
    assert not one.is_lost()
