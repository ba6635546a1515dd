"""OpenAI's chat completions, and Azure's, which name the model in the path."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.loopback.formats.pieces import MESSAGE, event, split_reply, words
from tests.loopback.reply import Reply

STREAM_TYPE = "text/event-stream"
_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def read_request(path: str, body: dict[str, Any]) -> tuple[str, bool]:
    deployment = re.search(r"/deployments/([^/]+)/", path)
    model = deployment.group(1) if deployment else str(body.get("model"))
    return model, bool(body.get("stream"))


def completion(model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    refused = reply.finish == "refusal"
    text, call = split_reply(reply, _tools(body))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if call or refused else text,
        "refusal": text if refused else None,
    }
    if call:
        message["tool_calls"] = [_call(call)]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply, call)}],
        "usage": usage(reply),
    }


def tokens(model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    text, call = split_reply(reply, _tools(body))
    key = "refusal" if reply.finish == "refusal" else "content"
    yield _chunk(model, {"role": "assistant", "content": ""})
    if call:
        yield _chunk(model, {"tool_calls": [{"index": 0, **_call(call)}]})
    for word in [] if call else words(text):
        yield _chunk(model, {key: word})


def ending(model: str, reply: Reply, body: dict[str, Any]) -> bytes:
    _, call = split_reply(reply, _tools(body))
    end = _chunk(model, {}, _finish(reply, call))
    if (body.get("stream_options") or {}).get("include_usage"):
        end += event(_envelope(model) | {"choices": [], "usage": usage(reply)})
    return end + event("[DONE]")


def error(status: int) -> tuple[dict[str, Any], dict[str, str]]:
    kind, code = _TYPES.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", None)
    )
    return {"error": {"message": MESSAGE, "type": kind, "param": None, "code": code}}, {}


def stream_error() -> bytes:
    return event({"error": {"message": MESSAGE, "type": "server_error", "code": "server_error"}})


def usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
    }


def _tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools") or []]


def _call(call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    function = {"name": call[0], "arguments": json.dumps(call[1])}
    return {"id": "call_1", "type": "function", "function": function}


def _finish(reply: Reply, call: object) -> str:
    if call or reply.reason:
        return reply.reason or "tool_calls"
    return "stop" if reply.finish == "refusal" else reply.finish


def _envelope(model: str) -> dict[str, Any]:
    kind = "chat.completion.chunk"
    return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": model}


def _chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event(_envelope(model) | {"choices": [choice]})
