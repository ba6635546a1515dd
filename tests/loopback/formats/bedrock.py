"""Bedrock's converse. Its streams are AWS's binary event stream, not server-sent events.

Framing: https://smithy.io/2.0/aws/amazon-eventstream.html: lengths of message and headers,
their CRC-32, headers, payload, CRC-32 of it all; numbers are big-endian.
"""

import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.loopback.formats.pieces import MESSAGE, split_reply, words
from tests.loopback.reply import Reply

STREAM_TYPE = "application/vnd.amazon.eventstream"
_TYPES = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}


def read_request(path: str, body: dict[str, Any]) -> tuple[str, bool]:
    found = re.search(r"/model/([^/]+)/converse(-stream)?$", path)
    return (unquote(found.group(1)), bool(found.group(2))) if found else ("", False)


def completion(model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    text, call = split_reply(reply, _tools(body))
    content: list[dict[str, Any]] = [{"text": text}] if text else []
    if call:
        content = [{"toolUse": {"toolUseId": "t1", "name": call[0], "input": call[1]}}]
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _stop(reply, call),
        "usage": _usage(reply),
        "metrics": {"latencyMs": 1},
    }


def tokens(model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    text, call = split_reply(reply, _tools(body))
    start = _event("messageStart", {"role": "assistant"})
    if call:
        tool = {"toolUse": {"toolUseId": "t1", "name": call[0]}}
        yield start + _event("contentBlockStart", {"contentBlockIndex": 0, "start": tool})
        yield _delta({"toolUse": {"input": json.dumps(call[1])}})
        return
    yield start
    for word in words(text):
        yield _delta({"text": word})


def ending(model: str, reply: Reply, body: dict[str, Any]) -> bytes:
    _, call = split_reply(reply, _tools(body))
    return (
        _event("contentBlockStop", {"contentBlockIndex": 0})
        + _event("messageStop", {"stopReason": _stop(reply, call)})
        + _event("metadata", {"usage": _usage(reply), "metrics": {"latencyMs": 1}})
    )


def error(status: int) -> tuple[dict[str, Any], dict[str, str]]:
    return {"message": MESSAGE}, {"x-amzn-ErrorType": _TYPES.get(status, "ValidationException")}


def stream_error() -> bytes:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    return _frame(headers, {"message": MESSAGE})


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "inputTokens": reply.input_tokens - reply.cached_tokens,
        "cacheReadInputTokens": reply.cached_tokens,
        "outputTokens": reply.output_tokens,
        "totalTokens": reply.input_tokens + reply.output_tokens,
    }


def _stop(reply: Reply, call: object) -> str:
    if call or reply.reason:
        return reply.reason or "tool_use"
    return _STOPS.get(reply.finish, "end_turn")


def _tools(body: dict[str, Any]) -> list[str]:
    return [tool["toolSpec"]["name"] for tool in (body.get("toolConfig") or {}).get("tools", [])]


def _delta(delta: dict[str, Any]) -> bytes:
    return _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    return _frame({":message-type": "event", ":event-type": kind}, payload)


def _frame(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    encoded = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", 7, len(value))
        + value.encode()
        for name, value in {**headers, ":content-type": "application/json"}.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(encoded) + len(body), len(encoded))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + body
    return message + struct.pack("!I", zlib.crc32(message))
