"""OpenAI's chat completions as gateways send them: an error beside a whole answer is one."""

from typing import Any

from openai.types import chat
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse


class OpenAICompletions(OpenAIChatModel):
    """Completions whose details say that their provider failed, whatever else arrived."""

    def _process_provider_details(self, response: chat.ChatCompletion) -> dict[str, Any] | None:
        return _add_error(super()._process_provider_details(response), response)

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return _Stream


class _Stream(OpenAIStreamedResponse):
    """A stream of which a piece may hold the error."""

    def _map_provider_details(self, chunk: chat.ChatCompletionChunk) -> dict[str, Any] | None:
        return _add_error(super()._map_provider_details(chunk), chunk)


def _add_error(
    details: dict[str, Any] | None, holder: chat.ChatCompletion | chat.ChatCompletionChunk
) -> dict[str, Any] | None:
    """Add what stands for an error in the first choice, or beside the choices."""
    extras = (holder.choices[0].model_extra or {}, holder.model_extra or {})
    error = next((extra["error"] for extra in extras if extra.get("error")), None)
    return {**(details or {}), "error": error} if error else details
