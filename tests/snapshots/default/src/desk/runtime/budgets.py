"""Budgets: what the month has cost, and what attempts under way may cost at most.

The most that an attempt may cost is reserved before it is sent and settled afterwards, so that
calls made at once keep to a limit as calls made one after the other do.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from .errors import LedgerError
from .fleet import Budgets
from .ledger.attempt import DEMO, NANO, Attempt

log = logging.getLogger(__name__)

WARN_AT = Decimal("0.8")
FEW_ATTEMPTS = 1000  # a limit with room for more is not passed by one bad estimate


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget that a call comes under."""

    name: str
    of: str
    """Whose budget it is: reservations add up by it."""
    left_nano: Callable[[], float]
    """What is left of it, before reservations."""
    is_budget: bool = True
    """False for a cap of the request or a chain, which skips a model and ends nothing."""


@dataclass(eq=False, slots=True)
class Reservation:
    """What one attempt may cost at most, under its limits, and the task that makes it."""

    nano: float
    estimated_nano: int
    """That by the price of its model alone."""
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
                names = frozenset(one.of for one in limits)
                held = Reservation(wanted, nano, model, names, asyncio.current_task())
                self._held.add(held)
                return held
            # A task that holds the room itself, as it reads a stream, would wait for ever.
            is_mine = any(one.task is asyncio.current_task() for one in self._held_under(tight))
            may_come = tight.left_nano() >= (nano if is_most else 1) and not is_mine
            if not (may_come and await self._wait_for_release(until - time.monotonic())):
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
        free = max(0, left - reserved)
        return left <= 0 or (nano > free and (is_most or reserved > 0))

    def _held_under(self, limit: Limit) -> list[Reservation]:
        return [one for one in self._held if limit.of in one.of]

    async def _wait_for_release(self, within_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), within_s)
            return True
        return False


class BudgetedRun(Protocol):
    """What budgets read of a run."""

    @property
    def id(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def max_cost_usd(self) -> Decimal | None: ...
    def spent_nano(self) -> int: ...


class Spending:
    """What the calendar month (UTC) has cost against `[budgets]`, in nano-USD by task type.

    `read` sums up the ledger. It is called every `every_s` seconds, for what other processes
    spend; in between, this process adds its own attempts.
    """

    def __init__(
        self, budgets: Budgets, read: Callable[[], Mapping[str, int]], *, every_s: float = 10
    ) -> None:
        self.at_limit, self.answer_tokens = budgets.at_limit, budgets.answer_tokens
        self.reservations = Reservations()
        self._budgets, self._read, self._every_s = budgets, read, every_s
        self._month, self._read_at = "", -math.inf
        self._first_read = asyncio.Lock()
        self._spent: Counter[str] = Counter()
        self._warned: set[str] = set()

    def call_nano(self, own_usd: Decimal | None) -> float:
        """Return the cap of one call: that of its chain or of all calls, whichever is lower."""
        caps = (own_usd, self._budgets.call_usd)
        return min((int(usd * NANO) for usd in caps if usd), default=math.inf)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Count attempts of this process."""
        for attempt in attempts:
            if attempt.environment != DEMO:
                self._spent[attempt.task_type] += attempt.cost_nano_usd or 0

    def limits(self, run: BudgetedRun, task: str) -> list[Limit]:
        """Return the limits that an attempt for a task comes under."""
        of_run, budgets, found = f"run {run.id}", self._budgets, list[Limit]()
        if (cap := run.max_cost_usd) is not None:
            left = _left(cap, run.spent_nano)
            found.append(Limit("max_cost_usd", of_run, left, is_budget=False))
        if budgets.run_usd:
            found.append(Limit("run_usd", of_run, _left(budgets.run_usd, run.spent_nano)))
        if run.environment == DEMO:
            return found
        if budgets.month_usd:
            found.append(Limit("month_usd", "month", _left(budgets.month_usd, self._spent.total)))
        if usd := budgets.task_usd.get(task):
            found.append(Limit(task, f"task {task}", _left(usd, lambda: self._spent[task])))
        return found

    async def find_reached(self, run: BudgetedRun, task: str) -> str | None:
        """Return the budget that is used up, if one is; warn once when 80 % of one is spent."""
        budgets = self._budgets
        if 0 < budgets.run_usd * NANO <= run.spent_nano():
            return "run_usd"
        if run.environment == DEMO or not (budgets.month_usd or budgets.task_usd):
            return None
        await self._refresh()
        for name, limit, spent in (
            ("month_usd", budgets.month_usd, self._spent.total()),
            (task, budgets.task_usd.get(task), self._spent[task]),
        ):
            if limit and spent >= limit * NANO:
                return name
            if limit and spent >= limit * NANO * WARN_AT and name not in self._warned:
                self._warned.add(name)
                log.warning("80 %% of the month's budget %s, $%s, is spent", name, limit)
        return None

    async def _refresh(self) -> None:
        """Read the ledger now and then; in a new month, and at first, before a call goes on."""
        month, now = time.strftime("%Y-%m", time.gmtime()), time.monotonic()
        if month == self._month:
            if now >= self._read_at + self._every_s:
                self._read_at = now
                await self._read_ledger()
            return
        async with self._first_read:
            if month != self._month:
                self._spent, self._warned = Counter(), set()
                await self._read_ledger()
                self._month, self._read_at = month, now

    async def _read_ledger(self) -> None:
        try:
            # What this process has added may not be committed yet: never count less than that.
            self._spent |= Counter(await asyncio.to_thread(self._read))
        except LedgerError as error:
            log.warning("What other processes have spent is not known: %s", error)


def _left(usd: Decimal, spent_nano: Callable[[], int]) -> Callable[[], int]:
    return lambda: int(usd * NANO) - spent_nano()
