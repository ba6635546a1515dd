"""OpenAI's chat completions as other servers send them.

Its HTTP client puts right what they leave out; a stream counts its tokens once, in however many
chunks it reports them; an error that comes in place of an answer is one.
"""

from typing import Any

from openai import DefaultAsyncHttpxClient
from openai.types import chat
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from pydantic_ai.usage import RequestUsage

from .bookkeeping import USUAL, Reasons, hooks
from .replies import find_choice_error


def http_client(reasons: Reasons = USUAL) -> DefaultAsyncHttpxClient:
    """Return a client for the SDK that puts right the bookkeeping of what it receives."""
    return DefaultAsyncHttpxClient(event_hooks=hooks(reasons))


class OpenAIChat(OpenAIChatModel):
    """Put it before a model's own class: `class Mine(OpenAIChat, OllamaModel)`."""

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
