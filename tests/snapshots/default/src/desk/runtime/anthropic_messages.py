"""Anthropic's messages as gateways send them: an answer is one although its usage is missing."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from anthropic.types.beta import BetaMessage, BetaMessageDeltaUsage, BetaUsage
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.anthropic import AnthropicModel


class AnthropicMessages(AnthropicModel):
    """Messages whose tokens are unknown, not wrong, where they are not reported."""

    def _process_response(self, response: BetaMessage, *args: Any, **kwargs: Any) -> ModelResponse:
        done = super()._process_response(_fill_usage(response), *args, **kwargs)
        _note_price(done, response)
        return done

    async def _process_streamed_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
        events = _Events(response, response.source)
        streamed = await super()._process_streamed_response(cast("Any", events), *args, **kwargs)
        events.streamed = streamed
        return streamed


@dataclass
class _Events:
    """The events of a stream, each with the usage that pydantic-ai reads."""

    inner: Any
    source: Any
    streamed: Any = None

    async def peek(self) -> Any:
        return _fill_usage(await self.inner.peek())

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for event in cast("AsyncIterable[Any]", self.inner):
            if self.streamed is not None:
                _note_price(self.streamed, getattr(event, "message", None))
            yield _fill_usage(event)


def _note_price(done: Any, message: Any) -> None:
    """Note where and in which tier it ran: they change the price, and pydantic-ai omits them."""
    usage = getattr(message, "usage", None)
    details = {name: getattr(usage, name, None) for name in ("inference_geo", "service_tier")}
    if details := {name: value for name, value in details.items() if value}:
        done.provider_details = {**(done.provider_details or {}), **details}


def _fill_usage(event: Any) -> Any:
    """Return the same with no tokens where none are reported: the ledger calls that unknown."""
    if getattr(event, "type", None) == "message_delta":
        if not isinstance(event.usage, BetaMessageDeltaUsage):
            event.usage = BetaMessageDeltaUsage.construct(input_tokens=0, output_tokens=0)
        return event
    message = event if isinstance(event, BetaMessage) else getattr(event, "message", None)
    if message is not None and not isinstance(message.usage, BetaUsage):
        message.usage = BetaUsage.construct(input_tokens=0, output_tokens=0)
    return event
