"""Time limits that do not run while this program's own event loop stands still.

Code that blocks it, a check of the team's for example, is nobody's timeout.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic_ai.exceptions import ModelTimeoutError

BEAT_S = 0.1
STALL_S = 0.3  # a shorter one is a busy machine


class Stalled(TimeoutError):
    """Time ran out because the event loop stood still, not because a model was slow."""


class Watch:
    """Feels whether the loop stands still while there are limits, and puts them off by that."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Timeout, float] = {}
        self._lost: set[asyncio.Timeout] = set()
        self._ended = -math.inf  # the last stall, on the monotonic clock
        self._beats = False

    @asynccontextmanager
    async def limit(self, seconds: float, until: float) -> AsyncGenerator[asyncio.Timeout]:
        """As `asyncio.timeout`, put off by every stall, but not beyond `until`.

        Raises Stalled in place of TimeoutError where only a stall used up the time.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._until[limit] = until
                if not self._beats:
                    self._beat_after(BEAT_S)
                yield limit
        except (TimeoutError, ModelTimeoutError) as error:
            just_now = time.monotonic() - self._ended < BEAT_S
            if limit in self._lost or just_now:
                raise Stalled from error
            raise
        finally:
            self._until.pop(limit, None)
            self._lost.discard(limit)

    def _beat_after(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._beats = True
        loop.call_later(seconds, self._beat, loop.time() + seconds)

    def _beat(self, due: float) -> None:
        now = asyncio.get_running_loop().time()
        if now - due > STALL_S:
            self._ended = now
            for limit, until in self._until.items():
                self._put_off(limit, now - due, until)
        self._beats = False
        if self._until:
            self._beat_after(BEAT_S)

    def _put_off(self, limit: asyncio.Timeout, seconds: float, until: float) -> None:
        when = limit.when()
        if limit.expired() or (when is not None and when + seconds > until):
            self._lost.add(limit)
        if when is not None and not limit.expired():
            limit.reschedule(min(when + seconds, max(until, when)))
