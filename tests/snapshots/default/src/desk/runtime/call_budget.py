"""Keep one call within its own cap, the caps of the calls it serves, and all budgets."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic_ai.messages import ModelResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .budgets import Limit, Reservation, Reservations
from .fleet import ModelRef
from .ledger.price_context import price_context
from .ledger.prices import Prices
from .request_size import RequestSize


@dataclass(kw_only=True)
class CallBudget:
    """What one call has spent and may still spend, in nano-USD."""

    call_id: str
    cap_nano: float
    parent: "CallBudget | None"
    """That of the call whose completion this one judges."""
    limits: Callable[[], Sequence[Limit]]
    """The budgets of fleet.toml and of the request that the call comes under."""
    reservations: Reservations
    prices: Prices
    size: RequestSize
    settings: ModelSettings | None
    answer_tokens: int
    """How long an answer is taken to be where `max_tokens` is not set."""
    spent_nano: int = 0
    used_up: Limit | None = None
    """The budget that had no room for an attempt."""
    past_budgets: bool = False
    """Whether to go on although a budget is used up, as `at_limit = "cheap_only"` says."""
    _reserved: Reservation | None = None

    def left_nano(self) -> float:
        """Return what all attempts of the call together may still cost."""
        return self.cap_nano - self.spent_nano

    def covers_prompt(self, ref: ModelRef) -> bool:
        """Return whether the cap is more than the prompt alone costs."""
        if self.cap_nano == math.inf:
            return True
        usage = RequestUsage(input_tokens=self.size.prompt_tokens)
        least = self.prices.cost(ref, usage, served=ref.model).nano_usd or 0
        return least < self.left_nano()

    async def reserve(self, ref: ModelRef, *, wait_s: float, time_left_s: float) -> bool:
        """Set aside what an attempt may cost at most; return False where there is no room."""
        limits = [one for one in self.limits() if not (self.past_budgets and one.is_budget)]
        limits += self._caps()
        if not limits:
            return True
        nano, is_most = self._most_nano(ref, time_left_s)
        held = await self.reservations.take(limits, str(ref), nano, is_most=is_most, wait_s=wait_s)
        if isinstance(held, Limit):
            self.used_up = held if held.is_budget else self.used_up
            return False
        self._reserved = held
        return True

    def release(self, cost_nano: int | None = None) -> None:
        """Give back what is reserved for an attempt that is over."""
        if self._reserved:
            self.reservations.release(self._reserved, cost_nano)
        self._reserved = None

    def spend(self, cost_nano: int | None) -> None:
        """Count what an attempt has cost, here and for the calls that this one serves."""
        budget: CallBudget | None = self
        while budget:
            budget.spent_nano += cost_nano or 0
            budget = budget.parent
        self.release(cost_nano)

    def _caps(self) -> Iterator[Limit]:
        budget: CallBudget | None = self
        while budget:
            if budget.cap_nano != math.inf:
                of = f"call {budget.call_id}"
                yield Limit("call_usd", of, budget.left_nano, is_budget=False)
            budget = budget.parent

    def _most_nano(self, ref: ModelRef, seconds: float) -> tuple[int, bool]:
        """Return what an attempt costs at most, 0 without a price, and if its length is stated."""
        settings = self.settings or ModelSettings()
        stated = settings.get("max_tokens")
        usage = self.size.most_usage(
            answer_tokens=stated or self.answer_tokens,
            caches=any("cache" in name for name in settings),
        )
        context = price_context(ModelResponse(parts=[]), self.settings)
        # The model that a deployment serves is not known yet: its name is the best guess.
        cost = self.prices.cost(ref, usage, context=context, seconds=seconds, served=ref.model)
        return cost.nano_usd or 0, stated is not None
