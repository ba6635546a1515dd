"""Anthropic's messages. Its input tokens leave out the cached ones."""

import json
from collections.abc import Iterator
from typing import Any

from tests.loopback.formats.pieces import MESSAGE, event, split_reply, words
from tests.loopback.reply import Reply

STREAM_TYPE = "text/event-stream"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens"}


def read_request(path: str, body: dict[str, Any]) -> tuple[str, bool]:
    return str(body.get("model")), bool(body.get("stream"))


def completion(model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    text, call = split_reply(reply, _tools(body))
    content = [{"type": "text", "text": text}] if text else []
    if call:
        content = [{"type": "tool_use", "id": "toolu_1", "name": call[0], "input": call[1]}]
    return _message(model, content, _stop(reply, call), _usage(reply))


def tokens(model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    text, call = split_reply(reply, _tools(body))
    block = {"type": "text", "text": ""}
    if call:
        block = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": {}}
    start = _message(model, [], None, _usage(reply) | {"output_tokens": 1})
    yield _event("message_start", message=start) + _event(
        "content_block_start", index=0, content_block=block
    )
    if call:
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
        yield _event("content_block_delta", index=0, delta=delta)
    for word in [] if call else words(text):
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})


def ending(model: str, reply: Reply, body: dict[str, Any]) -> bytes:
    _, call = split_reply(reply, _tools(body))
    stop = {"stop_reason": _stop(reply, call), "stop_sequence": None}
    used = {"output_tokens": reply.output_tokens}
    return (
        _event("content_block_stop", index=0)
        + _event("message_delta", delta=stop, usage=used)
        + _event("message_stop")
    )


def error(status: int) -> tuple[dict[str, Any], dict[str, str]]:
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return _error(kind), {"request-id": "req_1"}


def stream_error() -> bytes:
    return event(_error("overloaded_error"), "error")


def _error(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": MESSAGE}, "request_id": "req_1"}


def _message(
    model: str, content: list[Any], stop: str | None, used: dict[str, Any]
) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    return message | {
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": used,
    }


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "input_tokens": reply.input_tokens - reply.cached_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": reply.output_tokens,
    }


def _stop(reply: Reply, call: object) -> str:
    if call or reply.reason:
        return reply.reason or "tool_use"
    return _STOPS.get(reply.finish, "refusal")


def _tools(body: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in body.get("tools") or []]


def _event(kind: str, **data: Any) -> bytes:
    return event({"type": kind, **data}, kind)
