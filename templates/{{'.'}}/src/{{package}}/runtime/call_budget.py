"""Keep one call within its caps and all budgets."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pydantic_ai.usage import RequestUsage

from .budgets import Limit, Reservation, Spending
from .call_request import NO_RESPONSE, CallRequest
from .fleet import ModelRef
from .ledger.prices import Prices


@dataclass
class CallBudget:
    """What one call may still spend: its own cap and those above it."""

    request: CallRequest
    spending: Spending
    prices: Prices
    used_up: str | None = None
    """The budget that had no room for an attempt."""
    past_budgets: bool = False
    """Whether to go on although a budget is used up, as `at_limit = "cheap_only"` says."""
    _held: Reservation | None = None

    async def find_reached(self) -> str | None:
        """Return the budget that is used up before anything is asked, if one is."""
        stage = self.request.stage
        self.used_up = await self.spending.find_reached(stage.run, stage.task_type)
        return self.used_up

    def covers_prompt(self, ref: ModelRef) -> bool:
        """Return whether each cap is more than the prompt alone costs."""
        caps = [limit.left_nano() for limit in self._limits() if not limit.is_budget]
        usage = RequestUsage(input_tokens=self.request.prompt_tokens)
        return not caps or min(caps) > self._nano(ref, usage)

    async def reserve(self, ref: ModelRef, *, wait_s: float, time_left_s: float) -> bool:
        """Set aside what an attempt may cost at most; return False where too little is left."""
        limits = [one for one in self._limits() if not (self.past_budgets and one.is_budget)]
        if not limits:
            return True
        settings = self.request.settings
        stated = settings["max_tokens"] if settings and "max_tokens" in settings else None
        usage = self.request.most_usage(stated or self.spending.budgets.answer_tokens)
        nano, is_most = self._nano(ref, usage, time_left_s), stated is not None
        take = self.spending.reservations.take
        held = await take(limits, str(ref), nano, is_most=is_most, wait_s=wait_s)
        if isinstance(held, Limit):
            self.used_up = held.name if held.is_budget else self.used_up
            return False
        self._held = held
        return True

    def release(self, cost_nano: int | None = None) -> None:
        """Give back what is reserved for an attempt that is over."""
        if self._held:
            self.spending.reservations.release(self._held, cost_nano)
        self._held = None

    def _limits(self) -> Iterator[Limit]:
        """Yield the limits of the run, the task and the month, of the call and the one it judges."""
        stage = self.request.stage
        yield from self.spending.limits(stage.run, stage.task_type)
        for call in (self.request, stage.parent):
            if call and call.cap_usd is not None:
                spent = partial(stage.run.spent_nano, call.id)
                yield Limit("call_usd", f"call {call.id}", call.cap_usd, spent, is_budget=False)

    def _nano(self, ref: ModelRef, usage: RequestUsage, seconds: float | None = None) -> int:
        """Return what an attempt with this usage costs; 0 without a price."""
        context = self.prices.context(NO_RESPONSE, self.request.settings)
        # The model that a deployment serves is not known yet: its name is the best guess.
        cost = self.prices.cost(ref, usage, context=context, seconds=seconds, served=ref.model)
        return cost.nano_usd or 0
