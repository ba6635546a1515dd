"""Limit the time of an attempt, but not while this program's own event loop stands still.

Code that blocks the loop, a check of the team's for example, is not a timeout of a provider.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from pydantic_ai.exceptions import ModelTimeoutError

BEAT_S = 0.1
STALL_S = 0.3  # a shorter one is a busy machine


class Stalled(TimeoutError):
    """Time ran out because the event loop stood still, not because a model was slow."""


class Watch:
    """Notice whether the loop stands still while there are limits, and extend them by that."""

    def __init__(self) -> None:
        self._latest: dict[asyncio.Timeout, float] = {}
        self._lost: set[asyncio.Timeout] = set()
        self._stalled_at = -math.inf
        self._beats = False

    @asynccontextmanager
    async def limit(self, seconds: float, latest: float) -> AsyncGenerator[asyncio.Timeout]:
        """Limit time as `asyncio.timeout` does, extended by every stall, but not beyond `latest`.

        Raises Stalled in place of TimeoutError where only a stall used up the time.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._latest[limit] = latest
                if not self._beats:
                    self._schedule_beat()
                yield limit
        except (TimeoutError, ModelTimeoutError) as error:
            just_now = time.monotonic() - self._stalled_at < BEAT_S
            if limit in self._lost or just_now:
                raise Stalled from error
            raise
        finally:
            self._latest.pop(limit, None)
            self._lost.discard(limit)

    def _schedule_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beats = True
        loop.call_later(BEAT_S, self._beat, loop.time() + BEAT_S)

    def _beat(self, due: float) -> None:
        now = asyncio.get_running_loop().time()
        if now - due > STALL_S:
            self._stalled_at = now
            for limit, latest in self._latest.items():
                self._extend(limit, now - due, latest)
        self._beats = False
        if self._latest:
            self._schedule_beat()

    def _extend(self, limit: asyncio.Timeout, seconds: float, latest: float) -> None:
        when = limit.when()
        if limit.expired() or (when is not None and when + seconds > latest):
            self._lost.add(limit)
        if when is not None and not limit.expired():
            limit.reschedule(min(when + seconds, max(latest, when)))


@dataclass(kw_only=True)
class TimeLimits:
    """The time of one call, and what share of it an attempt gets."""

    watch: Watch
    attempt_s: float | None = None
    """The most seconds that one attempt gets."""
    deadline: float = math.inf
    """When the call has to be done, on the monotonic clock."""

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def share(self, models: int) -> float:
        """Return the seconds for one of so many models: a hang must leave enough for the others."""
        return min(self.left() / models, self.attempt_s or math.inf)

    def limit(self, models: int) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """Limit the time to the share of one of so many models."""
        return self.limit_to(self.share(models))

    def limit_to(self, seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
        return self.watch.limit(seconds, self.deadline)

    def start(self, limit: asyncio.Timeout, models: int) -> float:
        """Share out what time is left, and return when the attempt that got its slot began."""
        limit.reschedule(asyncio.get_running_loop().time() + self.share(models))
        return time.perf_counter()
