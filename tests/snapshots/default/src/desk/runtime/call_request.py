"""One request to a chain: what is asked of its models, and how many tokens that is."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from pydantic import ValidationError
from pydantic_ai.messages import ImageUrl, ModelMessage, ModelRequest, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from .ledger.attempt import new_id
from .run import Stage

CHARS_PER_TOKEN = 5  # a prompt that is too long by this careful measure is too long
BYTES_PER_TOKEN = 4  # of English, on average
MIN_BYTES_PER_TOKEN = 3  # what a budget reckons with
MIN_WINDOW = 500  # tokens; no server cuts a prompt to less
SURE_SHARE = 0.75  # of the fewest tokens that a prompt can have: less is surely not all of it
NO_RESPONSE = ModelResponse(parts=[])
_REPEATED = re.compile(r"(\S)\1+")


@dataclass(kw_only=True)
class CallRequest:
    """What a stage asks of a chain; `cap_usd` is what all its attempts together may cost."""

    chain: str
    stage: Stage
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    cap_usd: Decimal | None = None
    id: str = field(default_factory=new_id)

    @property
    def question(self) -> str:
        """Return the text that was asked last."""
        asked = [p.content for m in self.messages for p in m.parts if p.part_kind == "user-prompt"]
        last = asked[-1] if asked else ""
        return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))

    @property
    def is_typed(self) -> bool:
        """Return whether the answer has to fit a schema."""
        return not self.parameters.allow_text_output

    def suits(self, profile: ModelProfile) -> bool:
        """Return whether a model can do what the request needs: tools, a schema, images."""
        mode = self.parameters.output_mode
        if mode == "auto" and self.parameters.output_object:
            mode = profile.get("default_structured_output_mode", "tool")
        needs = {
            "supports_tools": mode == "tool" or self.parameters.function_tools,
            "supports_json_schema_output": mode == "native",
            "supports_image_input": self._has_image,
        }
        return all(profile.get(name, True) for name, needed in needs.items() if needed)

    @cached_property
    def _has_image(self) -> bool:
        files = _contents(self.messages)
        return any(isinstance(f, ImageUrl) or getattr(f, "is_image", False) for f in files)

    @cached_property
    def prompt_tokens(self) -> int:
        """Return fewer tokens than the prompt usually has."""
        texts = (item for item in _contents(self.messages) if isinstance(item, str))
        return sum(map(len, texts)) // CHARS_PER_TOKEN

    @cached_property
    def _texts(self) -> list[str]:
        """Return all texts that are sent: messages, and the tools and schemas on offer."""
        tools = [*self.parameters.function_tools, *self.parameters.output_tools]
        parts = (part for message in self.messages for part in message.parts)
        calls = [part.args_as_json_str() for part in parts if isinstance(part, ToolCallPart)]
        texts = [_as_text(item) for item in _contents(self.messages)]
        return [*texts, *calls, *(json.dumps(tool.parameters_json_schema) for tool in tools)]

    def most_usage(self, answer_tokens: int) -> RequestUsage:
        """Return what it uses at most; to write a cache may cost more than to read the prompt."""
        read = _count_tokens(self._texts, MIN_BYTES_PER_TOKEN)
        caches = any("cache" in name for name in self.settings or ())
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
            input_tokens=known.input_tokens or _count_tokens(self._texts, BYTES_PER_TOKEN),
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


def ask_to_repair(response: ModelResponse | None, misfit: BaseException) -> ModelRequest:
    """Return the request to correct a typed answer that does not fit."""
    assert response is not None and isinstance(misfit, ValidationError)
    calls = [call.args_as_json_str() for call in response.tool_calls]
    wrong = misfit.json(include_url=False, include_context=False, include_input=False)
    return ModelRequest.user_text_prompt(
        f"You answered: {calls[0] if calls else response.text}\n"
        f"That does not fit the schema: {wrong}\nAnswer again, with all of it right."
    )
