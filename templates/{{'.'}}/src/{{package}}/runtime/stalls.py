"""Limit the time of a call and of its attempts, but not while this program itself stands still.

Code that blocks the event loop, a check of the team's for example, is not a timeout of a provider.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic_ai.exceptions import ModelTimeoutError

BEAT_S = 0.1
STALL_S = 0.3  # a shorter one is a busy machine


class Stalled(TimeoutError):
    """Time ran out because the event loop stood still, not because a model was slow."""


class TimeLimit:
    """A limit that looks at the clock at every beat: a beat that comes late extends it."""

    def __init__(self, timeout: asyncio.Timeout, latest: float) -> None:
        self._timeout, self._latest = timeout, latest
        self._loop = asyncio.get_running_loop()
        self._stalled_at, self._is_lost = -math.inf, False
        self._beat: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Let the time end so many seconds from now."""
        self._seconds, self._is_lost = seconds, False
        self._end = self._loop.time() + seconds
        self._schedule()

    def cancel(self) -> None:
        if self._beat:
            self._beat.cancel()

    def is_lost(self) -> bool:
        """Return whether stalls used up most of the time, or one made a library's timer ring."""
        return self._is_lost or self._loop.time() - self._stalled_at < BEAT_S

    def _schedule(self) -> None:
        self.cancel()
        self._due = min(self._loop.time() + BEAT_S, self._end, self._latest)
        self._beat = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        stall_s = now - self._due
        if stall_s > STALL_S:
            self._stalled_at, self._end = now, self._end + stall_s
            # What cannot be given back before the call has to be done. A model that had most of
            # its time all the same was slow.
            self._is_lost = self._end - self._latest > self._seconds / 2
        if now < min(self._end, self._latest):
            self._schedule()
        else:
            self._timeout.reschedule(now)


@dataclass(kw_only=True)
class TimeLimits:
    """The time of one call, and what share of it an attempt gets."""

    attempt_s: float | None = None
    """The most seconds that one attempt gets."""
    deadline: float = math.inf
    """When the call has to be done, on the monotonic clock."""

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def share(self, models: int) -> float:
        """Return the seconds for one of so many models: a hang must leave enough for the others."""
        return min(self.left() / models, self.attempt_s or math.inf)

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[TimeLimit]:
        """Limit time as `asyncio.timeout` does. Raises Stalled where only a stall used it up."""
        timeout = asyncio.timeout(None)
        limit = TimeLimit(timeout, self.deadline)
        try:
            async with timeout:
                limit.set(seconds)
                yield limit
        except (TimeoutError, ModelTimeoutError) as error:
            if limit.is_lost():
                raise Stalled from error
            raise
        finally:
            limit.cancel()
