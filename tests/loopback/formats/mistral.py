"""Mistral's chat completions: near OpenAI's, with other ends, usage and errors."""

import json
from collections.abc import Iterator
from typing import Any

from tests.loopback.formats.pieces import MESSAGE, event, split_reply, words
from tests.loopback.reply import Reply

STREAM_TYPE = "text/event-stream"


def read_request(path: str, body: dict[str, Any]) -> tuple[str, bool]:
    return str(body.get("model")), bool(body.get("stream"))


def completion(model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    text, call = split_reply(reply, _tools(body))
    message = {"role": "assistant", "content": text, "tool_calls": _calls(call)}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply, call)}],
        "usage": _usage(reply),
    }


def tokens(model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    text, call = split_reply(reply, _tools(body))
    yield _chunk(model, {"role": "assistant", "content": ""})
    if call:
        yield _chunk(model, {"content": "", "tool_calls": _calls(call)})
    for word in [] if call else words(text):
        yield _chunk(model, {"content": word})


def ending(model: str, reply: Reply, body: dict[str, Any]) -> bytes:
    _, call = split_reply(reply, _tools(body))
    return _chunk(model, {"content": ""}, _finish(reply, call), _usage(reply)) + event("[DONE]")


def error(status: int) -> tuple[dict[str, Any], dict[str, str]]:
    kind = "service_unavailable" if status >= 500 else "invalid_request_error"
    return {"object": "error", "message": MESSAGE, "type": kind, "param": None, "code": None}, {}


def stream_error() -> bytes:
    return event(error(500)[0])


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
    }


def _tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools") or []]


def _calls(call: tuple[str, dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    if call is None:
        return None
    function = {"name": call[0], "arguments": json.dumps(call[1])}
    return [{"id": "call00001", "index": 0, "type": "function", "function": function}]


def _finish(reply: Reply, call: object) -> str:
    if call or reply.reason:
        return reply.reason or "tool_calls"
    # Mistral has no end of its own for a filtered or refused answer.
    return {"length": "length", "content_filter": "error"}.get(reply.finish, "stop")


def _chunk(
    model: str, delta: dict[str, Any], finish: str | None = None, used: object = None
) -> bytes:
    kind = "chat.completion.chunk"
    chunk = {"id": "1", "object": kind, "created": 1_790_000_000, "model": model}
    chunk |= {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return event(chunk | ({"usage": used} if used else {}))
