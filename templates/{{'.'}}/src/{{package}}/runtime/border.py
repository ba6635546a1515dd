"""What comes from outside, made harmless once: before it is sent, and before it is recorded."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart

from .encodable import sanitize
from .json_text import extract_json
from .ledger.attempt import new_id

_REPEATED = re.compile(r"(\S)\1+")


def mended(response: ModelResponse, asked: Sequence[ModelMessage], *, typed: bool) -> ModelResponse:
    """A completion as the rest of the workspace can use it.

    Without what encodings choke on, each tool call under an id of its own, and JSON without what
    models put around it.
    """
    parts = (part for message in asked for part in message.parts)
    ids = {part.tool_call_id for part in parts if isinstance(part, ToolCallPart)}
    response = sanitize(response)
    mended = [_mended_part(part, ids, typed=typed) for part in response.parts]
    return dataclasses.replace(response, parts=mended) if mended != response.parts else response


def _mended_part(part: Any, ids: set[str], *, typed: bool) -> Any:
    if isinstance(part, TextPart) and typed:
        return dataclasses.replace(part, content=extract_json(part.content))
    if not isinstance(part, ToolCallPart):
        return part
    call = cast("ToolCallPart[Any]", part)
    args, id_ = call.args, call.tool_call_id
    if isinstance(args, str) and args:
        args = extract_json(args)
    if not id_ or id_ in ids:
        id_ = new_id()
    ids.add(id_)
    return dataclasses.replace(call, args=args, tool_call_id=id_)


def least_tokens(messages: Sequence[ModelMessage]) -> int:
    """Fewer tokens than any tokenizer makes of what is asked: one a word, one per 12 letters."""
    words = (word for text in _asked(messages) for word in _REPEATED.sub(r"\1", text).split())
    return sum(max(1, len(word) // 12) for word in words)


def _asked(messages: Sequence[ModelMessage]) -> Iterator[str]:
    """The texts that a provider counts as its prompt, answers of models left out."""
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        yield message.instructions or ""
        for part in message.parts:
            content: Any = getattr(part, "content", None)
            items = (
                cast("Sequence[Any]", content) if isinstance(content, list | tuple) else [content]
            )
            yield from (item for item in items if isinstance(item, str))
