"""Estimate the tokens of a request, and keep one call within its caps and all budgets."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from .budgets import Limit, Reservation, Reservations
from .fleet import ModelRef
from .ledger.price_context import price_context
from .ledger.prices import Prices

CHARS_PER_TOKEN = 5  # a prompt that is too long by this careful measure is too long
BYTES_PER_TOKEN = 4  # of English, on average
MIN_BYTES_PER_TOKEN = 3  # what a budget reckons with
MIN_WINDOW = 500  # tokens; no server cuts a prompt to less
SURE_SHARE = 0.75  # of the fewest tokens that a prompt can have: less is surely not all of it
_REPEATED = re.compile(r"(\S)\1+")


class RequestSize:
    """The texts of one request and how many tokens they are."""

    def __init__(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> None:
        self.messages = messages
        self._parameters = parameters

    @cached_property
    def has_image(self) -> bool:
        files = _contents(self.messages)
        return any(isinstance(f, ImageUrl) or getattr(f, "is_image", False) for f in files)

    @cached_property
    def prompt_tokens(self) -> int:
        """Return fewer tokens than the prompt usually has."""
        texts = (item for item in _contents(self.messages) if isinstance(item, str))
        return sum(map(len, texts)) // CHARS_PER_TOKEN

    @cached_property
    def _sent(self) -> list[str]:
        """Return the texts of a request: its messages, and the tools and schemas it offers."""
        tools = [*self._parameters.function_tools, *self._parameters.output_tools]
        parts = (part for message in self.messages for part in message.parts)
        calls = [part.args_as_json_str() for part in parts if isinstance(part, ToolCallPart)]
        texts = [_as_text(item) for item in _contents(self.messages)]
        return [*texts, *calls, *(json.dumps(tool.parameters_json_schema) for tool in tools)]

    def most_usage(self, *, answer_tokens: int, caches: bool) -> RequestUsage:
        """Return what it uses at most; to write a cache may cost more than to read the prompt."""
        read = _count_tokens(self._sent, MIN_BYTES_PER_TOKEN)
        return RequestUsage(
            input_tokens=read,
            cache_write_tokens=read if caches else 0,
            output_tokens=answer_tokens,
        )

    def usage_so_far(self, response: ModelResponse) -> RequestUsage:
        """Return what a request that broke off has used: its prompt, and what had arrived."""
        parts = (str(getattr(p, "content", getattr(p, "args", ""))) for p in response.parts)
        known = response.usage
        return RequestUsage(
            input_tokens=known.input_tokens or _count_tokens(self._sent, BYTES_PER_TOKEN),
            output_tokens=max(known.output_tokens, _count_tokens(parts, BYTES_PER_TOKEN)),
        )

    def is_cut(self, usage: RequestUsage | None) -> bool:
        """Return whether a server counted far fewer tokens than the prompt has at the least.

        Some count cached tokens apart, so these are added. What is left below the size of any
        window is a count of something else.
        """
        if usage is None or usage.input_tokens < MIN_WINDOW:
            return False
        counted = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if counted > self.prompt_tokens:  # the usual case, and cheap
            return False
        return counted < self._min_tokens() * SURE_SHARE

    def _min_tokens(self) -> int:
        """Return fewer tokens than any tokenizer makes of the prompt: one a word or 12 letters."""
        asked = [message for message in self.messages if isinstance(message, ModelRequest)]
        texts = (item for item in _contents(asked) if isinstance(item, str))
        words = (word for text in texts for word in _REPEATED.sub(r"\1", text).split())
        return sum(max(1, len(word) // 12) for word in words)


def _contents(messages: Sequence[ModelMessage]) -> Iterator[object]:
    """Yield every text and file of a conversation, without the tool calls of its models."""
    for message in messages:
        if isinstance(message, ModelRequest):
            yield message.instructions or ""
        for part in message.parts:
            content = getattr(part, "content", None)
            yield from content if isinstance(content, list | tuple) else (content,)


def _as_text(item: object) -> str:
    """Return what a message holds as a model reads it: a tool's result as JSON, a file as ""."""
    if isinstance(item, str):
        return item
    is_file = item is None or hasattr(item, "kind")
    return "" if is_file else to_json(item, fallback=str).decode()


def _count_tokens(texts: Iterable[str], bytes_each: int) -> int:
    # Bytes, since a Chinese character is a token or more.
    return sum(len(text.encode(errors="replace")) for text in texts) // bytes_each


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
        """Set aside what an attempt may cost at most; return False where too little is left."""
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
        settings = self.settings
        stated = settings["max_tokens"] if settings and "max_tokens" in settings else None
        usage = self.size.most_usage(
            answer_tokens=stated or self.answer_tokens,
            caches=any("cache" in name for name in settings or ()),
        )
        context = price_context(ModelResponse(parts=[]), self.settings)
        # The model that a deployment serves is not known yet: its name is the best guess.
        cost = self.prices.cost(ref, usage, context=context, seconds=seconds, served=ref.model)
        return cost.nano_usd or 0, stated is not None
