"""OpenAI's chat completions as other servers send them.

The HTTP client puts right what they leave out; a stream counts its tokens once, in however many
chunks it reports them; an error that comes in place of an answer is one.
"""

from typing import Any, cast

from openai.types import chat
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from pydantic_ai.usage import RequestUsage

from .bookkeeping import USUAL, Reasons, find_choice_error, hooks

# OpenRouter's SDK class accepts these alone, whatever the vendor behind it says.
_REASONS = {
    "openrouter": Reasons(known=("stop", "length", "tool_calls", "content_filter", "error"))
}


def adapt(model: Model) -> Model:
    """Return a model of OpenAI's format that bears with other servers; any other as it is."""
    if not isinstance(model, OpenAIChatModel):
        return model
    kind: Any = type(type(model).__name__, (_OpenAIChat, type(model)), {})
    adapted: OpenAIChatModel = kind(model.model_name, provider=model.provider)
    http = cast("Any", adapted.client)._client
    for name, added in hooks(_REASONS.get(model.system, USUAL)).items():
        http.event_hooks[name].extend(added)
    return adapted


class _OpenAIChat(OpenAIChatModel):
    """What comes before a model's own class."""

    def _process_provider_details(self, response: chat.ChatCompletion) -> dict[str, Any] | None:
        details = super()._process_provider_details(response)
        error = find_choice_error(response.model_dump(warnings=False))
        return {**(details or {}), "error": error} if error else details

    @property
    def _streamed_response_cls(self) -> Any:
        usual = super()._streamed_response_cls
        return type(usual.__name__, (_Stream, usual), {})


class _Stream(OpenAIStreamedResponse):
    """A stream whose usage is the largest that a chunk reported: some repeat it as it grows."""

    def _add_usage(self, usage: RequestUsage, *, reported: bool, cumulative: bool = False) -> None:
        if reported and usage.total_tokens >= self._usage.total_tokens:
            super()._add_usage(usage, reported=True, cumulative=True)
