"""What calls under way may cost at most: set aside before they are sent, settled afterwards.

So calls that are made at once keep to a limit as calls one after the other do.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

FEW = 1000  # attempts that fit into a limit, so that one must not be far off


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget that a call comes under. `of` is whose it is: what is reserved adds up by it.

    `left_nano` is what is left of it, reservations aside. `at_limit` says what follows once a
    budget of fleet.toml is used up; a cap of the request or of a chain only skips models.
    """

    name: str
    of: str
    left_nano: Callable[[], float]
    is_budget: bool = True


@dataclass(eq=False, slots=True)
class Reservation:
    """What one attempt may cost at most, under its limits, and the task that makes it.

    `assumed` is that by its model's price alone.
    """

    nano: float
    assumed: int
    model: str
    of: frozenset[str]
    task: asyncio.Task[Any] | None


class Reservations:
    """The attempts under way in this process, and how far each model's were off what was assumed."""

    def __init__(self) -> None:
        self._held: set[Reservation] = set()
        self._freed = asyncio.Event()
        self._off: dict[str, float] = {}

    async def take(
        self, limits: Sequence[Limit], model: str, nano: int, *, is_most: bool, wait_s: float
    ) -> Reservation | Limit:
        """Reserve `nano` under all limits, or return the limit that has no room for it.

        Where other attempts hold the room, wait for them. `is_most` is false where an answer may
        grow longer than assumed: such an attempt is made alone while anything is left at all.
        """
        until = time.monotonic() + wait_s
        while True:
            wanted = nano if is_most else self._wanted(limits, model, nano)
            tight = next((one for one in limits if self._lacks(one, wanted, is_most)), None)
            if tight is None:
                names = frozenset(one.of for one in limits)
                held = Reservation(wanted, nano, model, names, asyncio.current_task())
                self._held.add(held)
                return held
            # Who waits for what it holds itself, a stream that is being read, waits in vain.
            mine = any(one.task is asyncio.current_task() for one in self._held_under(tight))
            comes = tight.left_nano() >= (nano if is_most else 1) and not mine
            if not (comes and await self._is_freed(until - time.monotonic())):
                return tight

    def release(self, held: Reservation, cost_nano: int | None) -> None:
        """Give back what an attempt did not use, once its cost is known or it is over."""
        self._held.discard(held)
        if cost_nano is not None and held.assumed:
            off = max(1, cost_nano / held.assumed)
            self._off[held.model] = max(off, self._off.get(held.model, 1))
        self._freed.set()
        self._freed = asyncio.Event()

    def _wanted(self, limits: Sequence[Limit], model: str, nano: int) -> float:
        """What to reserve where an answer has no stated length.

        All that is left, for the first attempt of a model under a small limit: there is no telling
        what it will cost.
        """
        if model in self._off:
            return nano * self._off[model]
        left = [one.left_nano() for one in limits]
        return max([nano, *(some for some in left if some < FEW * nano)])

    def _lacks(self, limit: Limit, nano: float, is_most: bool) -> bool:
        left = limit.left_nano()
        reserved = sum(one.nano for one in self._held_under(limit))
        free = max(0, left - reserved)
        return left <= 0 or (nano > free and (is_most or reserved > 0))

    def _held_under(self, limit: Limit) -> list[Reservation]:
        return [one for one in self._held if limit.of in one.of]

    async def _is_freed(self, within_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._freed.wait(), within_s)
            return True
        return False
