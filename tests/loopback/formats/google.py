"""Gemini's generateContent. Its candidates' tokens leave out the thoughts."""

import re
from collections.abc import Iterator
from typing import Any

from tests.loopback.formats.pieces import MESSAGE, event, split_reply, words
from tests.loopback.reply import Reply

STREAM_TYPE = "text/event-stream"
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def read_request(path: str, body: dict[str, Any]) -> tuple[str, bool]:
    found = re.search(r"/models/([^/:?]+):(\w+)", path)
    return (found.group(1), found.group(2) == "streamGenerateContent") if found else ("", False)


def completion(model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    text, call = split_reply(reply, _tools(body))
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    if call:
        parts = [{"functionCall": {"name": call[0], "args": call[1]}}]
    return _chunk(model, parts, reply, last=True)


def tokens(model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    text, call = split_reply(reply, _tools(body))
    if call:
        part = {"functionCall": {"name": call[0], "args": call[1]}}
        yield event(_chunk(model, [part], reply, last=False))
    for word in [] if call else words(text):
        yield event(_chunk(model, [{"text": word}], reply, last=False))


def ending(model: str, reply: Reply, body: dict[str, Any]) -> bytes:
    return event(_chunk(model, [], reply, last=True))


def error(status: int) -> tuple[dict[str, Any], dict[str, str]]:
    named = _STATUSES.get(status, "UNKNOWN")
    return {"error": {"code": status, "message": MESSAGE, "status": named}}, {}


def stream_error() -> bytes:
    return event(error(503)[0])


def _chunk(model: str, parts: list[dict[str, Any]], reply: Reply, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if last:
        candidate["finishReason"] = reply.reason or _FINISH.get(reply.finish, "STOP")
    used = {
        "promptTokenCount": reply.input_tokens,
        "cachedContentTokenCount": reply.cached_tokens,
        "candidatesTokenCount": reply.output_tokens - reply.reasoning_tokens,
        "thoughtsTokenCount": reply.reasoning_tokens,
        "totalTokenCount": reply.input_tokens + reply.output_tokens,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": used,
        "modelVersion": model,
        "responseId": "1",
    }


def _tools(body: dict[str, Any]) -> list[str]:
    return [
        declared["name"]
        for tool in body.get("tools") or []
        for declared in tool.get("functionDeclarations") or []
    ]
