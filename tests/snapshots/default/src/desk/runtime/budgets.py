"""Budgets: what the month has cost, and what attempts under way may cost at most.

The most that an attempt may cost is reserved before it is sent and settled afterwards, so that
calls made at once keep to a limit as calls made one after the other do.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .errors import LedgerError
from .fleet import Budgets
from .ledger.attempt import DEMO, NANO, Attempt
from .run import Run

log = logging.getLogger(__name__)

WARN_AT = Decimal("0.8")
FEW_ATTEMPTS = 1000  # a limit with room for more is not passed by one bad estimate


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent by a call, a run, a task or in a month: anything where `usd` is None."""

    name: str
    of: str
    """Whose limit it is: reservations add up by it."""
    usd: Decimal | None
    spent_nano: Callable[[], int]
    is_budget: bool = True
    """False for a cap of the request or a chain, which skips a model and ends nothing."""
    is_monthly: bool = False

    def left_nano(self) -> int:
        """Return what is left of it, before reservations."""
        return int((self.usd or 0) * NANO) - self.spent_nano()


@dataclass(eq=False, slots=True)
class Reservation:
    """What one attempt may cost at most, under its limits, and the task that makes it."""

    nano: float
    estimated_nano: int
    """What it was estimated at, before that was raised by what its model exceeded others by."""
    model: str
    of: frozenset[str]
    task: asyncio.Task[Any] | None


class Reservations:
    """The attempts under way in this process, and how far each model exceeded its estimates."""

    def __init__(self) -> None:
        self._held: set[Reservation] = set()
        self._released = asyncio.Event()
        self._excess: dict[str, float] = {}

    async def take(
        self, limits: Sequence[Limit], model: str, nano: int, *, is_most: bool, wait_s: float
    ) -> Reservation | Limit:
        """Reserve `nano` under all limits, or return the limit that has no room for it.

        Waits where other attempts hold the room. `is_most` is False where an answer may grow
        longer than estimated: such an attempt is made alone while anything is left at all.
        """
        until = time.monotonic() + wait_s
        while True:
            wanted = nano if is_most else self._estimate(limits, model, nano)
            tight = next((one for one in limits if self._lacks(one, wanted, is_most)), None)
            if tight is None:
                of, task = frozenset(one.of for one in limits), asyncio.current_task()
                held = Reservation(wanted, nano, model, of, task)
                self._held.add(held)
                return held
            # A task that holds the room itself, as it reads a stream, would wait for ever.
            is_mine = any(one.task is asyncio.current_task() for one in self._held_under(tight))
            if is_mine or tight.left_nano() < (nano if is_most else 1):
                return tight
            try:
                await asyncio.wait_for(self._released.wait(), until - time.monotonic())
            except TimeoutError:
                return tight

    def release(self, held: Reservation, cost_nano: int | None) -> None:
        """Give back what an attempt did not use, when its cost is known or it is over."""
        self._held.discard(held)
        if cost_nano is not None and held.estimated_nano:
            excess = max(1, cost_nano / held.estimated_nano)
            self._excess[held.model] = max(excess, self._excess.get(held.model, 1))
        self._released.set()
        self._released = asyncio.Event()

    def _estimate(self, limits: Sequence[Limit], model: str, nano: int) -> float:
        """Return what to reserve where the length of an answer is not stated.

        For the first attempt of a model that is all that is left of a small limit, because
        nothing shows yet what it will cost.
        """
        if model in self._excess:
            return nano * self._excess[model]
        left = [one.left_nano() for one in limits]
        return max([nano, *(some for some in left if some < FEW_ATTEMPTS * nano)])

    def _lacks(self, limit: Limit, nano: float, is_most: bool) -> bool:
        left = limit.left_nano()
        reserved = sum(one.nano for one in self._held_under(limit))
        return left <= 0 or (nano > max(0, left - reserved) and (is_most or reserved > 0))

    def _held_under(self, limit: Limit) -> list[Reservation]:
        return [one for one in self._held if limit.of in one.of]


class Spending:
    """What the calendar month (UTC) has cost against `[budgets]`, in nano-USD by task type.

    `read` sums up the ledger. It is called every `every_s` seconds, for what other processes
    spend; in between, this process adds its own attempts.
    """

    def __init__(
        self, budgets: Budgets, read: Callable[[], Mapping[str, int]], *, every_s: float = 10
    ) -> None:
        self.budgets = budgets
        self.reservations = Reservations()
        self._read, self._every_s = read, every_s
        self._month, self._read_at = "", -math.inf
        self._reading = asyncio.Lock()
        self._spent: Counter[str] = Counter()
        self._warned: set[str] = set()

    def add(self, attempt: Attempt) -> None:
        """Count an attempt of this process."""
        if attempt.environment != DEMO:
            self._spent[attempt.task_type] += attempt.cost_nano_usd or 0

    def limits(self, run: Run, task: str) -> list[Limit]:
        """Return the limits that an attempt for a task comes under, beside those of its call."""
        budgets, of_run, cap = self.budgets, f"run {run.id}", run.request.max_cost_usd
        found = [
            Limit("max_cost_usd", of_run, cap, run.spent_nano, is_budget=False),
            Limit("run_usd", of_run, budgets.run_usd or None, run.spent_nano),
        ]
        if run.environment != DEMO:
            month, of_task = budgets.month_usd or None, budgets.task_usd.get(task) or None
            found += [
                Limit("month_usd", "month", month, lambda: self._spent.total(), is_monthly=True),
                Limit(task, f"task {task}", of_task, lambda: self._spent[task], is_monthly=True),
            ]
        return [limit for limit in found if limit.usd is not None]

    async def find_reached(self, run: Run, task: str) -> str | None:
        """Return the budget that is used up, if one is; warn once when 80 % of one is spent."""
        limits = self.limits(run, task)
        if any(limit.is_monthly for limit in limits):
            await self._refresh()
        for limit in limits:
            if limit.is_budget and limit.left_nano() <= 0:
                return limit.name
            is_near = limit.spent_nano() >= (limit.usd or 0) * NANO * WARN_AT
            if limit.is_monthly and is_near and limit.name not in self._warned:
                self._warned.add(limit.name)
                log.warning("80 %% of the month's budget %s, $%s, is spent", limit.name, limit.usd)
        return None

    async def _refresh(self) -> None:
        """Read the ledger now and then, before a call goes on; anew in a new month."""
        async with self._reading:
            month = time.strftime("%Y-%m", time.gmtime())
            if month != self._month:
                self._spent, self._warned = Counter(), set()
            elif time.monotonic() < self._read_at + self._every_s:
                return
            try:
                # What this process has added may not be committed yet: never count less than that.
                self._spent |= Counter(await asyncio.to_thread(self._read))
            except LedgerError as error:
                log.warning("What other processes have spent is not known: %s", error)
            # From now: those who wait for a slow ledger do not read it again, one after the other.
            self._month, self._read_at = month, time.monotonic()
