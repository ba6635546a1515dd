"""OpenAI's chat completions as other servers send them.

An answer is one although its id, model, role or total is missing, null or of another type, and a
stream counts its tokens once, in however many chunks it reports them.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from openai import APIError
from openai.types import chat
from pydantic import ValidationError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from pydantic_ai.usage import RequestUsage

from .replies import error_of_choice, status_of

_USUAL = {
    "id": "",
    "object": "chat.completion",
    "created": 0,
    "model": "",
    "provider": "",  # OpenRouter's: who served it
    "index": 0,
    "role": "assistant",
    "type": "function",
}
_COUNTED = ("prompt_tokens", "completion_tokens")
_CONTENT = ("choices", "message", "content", "function", "name", "finish_reason")
_MOST = 20  # fields that are put right before an answer is called malformed


class OpenAIChat(OpenAIChatModel):
    """Put it before a model's own class: `class Mine(OpenAIChat, OllamaModel)`."""

    def _validate_completion(self, response: chat.ChatCompletion) -> Any:
        """Return the completion, with what is wrong of its bookkeeping put right.

        Raises pydantic's ValidationError where the answer itself is not one.
        """
        for _ in range(_MOST):
            try:
                return super()._validate_completion(response)
            except ValidationError as error:
                told = response.model_dump(warnings=False)
                for wrong in error.errors(include_url=False):
                    if not _put_right(told, wrong["loc"]):
                        raise
                response = chat.ChatCompletion.construct(**told)
        return super()._validate_completion(response)

    def _process_provider_details(self, response: chat.ChatCompletion) -> dict[str, Any] | None:
        details = super()._process_provider_details(response)
        error = error_of_choice(response.model_dump(warnings=False))
        return {**(details or {}), "error": error} if error else details

    @property
    def _streamed_response_cls(self) -> Any:
        usual = super()._streamed_response_cls
        return type(usual.__name__, (_Stream, usual), {})


class _Stream(OpenAIStreamedResponse):
    """A stream whose usage is the largest that a chunk reported: some repeat it as it grows."""

    async def _validate_response(self) -> AsyncIterator[chat.ChatCompletionChunk]:
        inner: Any = self._response
        self._response = cast("Any", _Filled(inner, inner.source))
        async for chunk in super()._validate_response():
            yield chunk

    def _add_usage(self, usage: RequestUsage, *, reported: bool, cumulative: bool = False) -> None:
        if reported and usage.total_tokens >= self._usage.total_tokens:
            super()._add_usage(usage, reported=True, cumulative=True)


@dataclass
class _Filled:
    """The chunks of a stream, none without the bookkeeping that OpenRouter's class insists on."""

    inner: AsyncIterable[Any]
    source: Any

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self.inner:
            self._expect_answer(chunk)
            for name in ("id", "model", "created"):
                if not isinstance(getattr(chunk, name), type(_USUAL[name])):
                    setattr(chunk, name, _USUAL[name])
            chunk.object = "chat.completion.chunk"
            for choice in chunk.choices or ():
                choice.index = choice.index or 0
            if hasattr(chunk.usage, "total_tokens"):
                chunk.usage.total_tokens = chunk.usage.total_tokens or 0
            else:
                chunk.usage = None
            yield chunk

    def _expect_answer(self, chunk: Any) -> None:
        """Raise APIError where a chunk is an error that the SDK does not know as one."""
        said: Any = None
        if not chunk.choices:
            said = chunk.model_extra if status_of(chunk.model_extra) else None
        elif getattr(chunk.choices[0], "error", None):
            said = error_of_choice(chunk.model_dump(warnings=False))
        if said:
            raise APIError(str(said), self.source.response.request, body=said)


def _put_right(told: dict[str, Any], loc: tuple[int | str, ...]) -> bool:
    """Give the field at `loc` its usual value, or none; False where that is the answer itself."""
    *path, last = loc
    holder: Any = told
    try:
        for part in path:
            holder = holder[part]
    except (KeyError, IndexError, TypeError):
        return False
    if not isinstance(holder, dict):
        return False
    at = cast("dict[Any, Any]", holder)
    if last == "total_tokens":
        at[last] = sum(at.get(name) or 0 for name in _COUNTED)
    elif path[:1] == ["usage"]:
        told["usage"] = None
    elif "logprobs" in path:
        told["choices"][path[1]]["logprobs"] = None
    elif last == "arguments" and isinstance(at.get(last), dict):
        at[last] = json.dumps(at[last])
    elif last in _CONTENT:
        return False
    else:
        at[last] = _USUAL.get(str(last))
    return True
