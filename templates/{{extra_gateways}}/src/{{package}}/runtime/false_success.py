"""Give error replies that a server sends as a success (status 200) the status they should have.

This happens before the client library reads them, whole or in a stream: the library then raises
what it would have raised, for every provider in the same way. Streams lose what some SDKs trip over.
"""

import codecs
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from operator import attrgetter
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models import Model

from .bookkeeping import find_choice_error, refuse_compression, wrap_stream
from .replies import MESSAGE_KEYS, classify_reply, iter_tables, read_status

# Where a provider's client keeps that of HTTP: OpenAI's, Anthropic's, Groq's; Mistral's; Google's.
_HTTP_CLIENTS = ("_client", "sdk_configuration.async_client", "_api_client._async_httpx_client")
_MAX_BYTES = 200_000  # no error is longer
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_DATA = b"data: "
# What may be an error: the other events of a stream are not parsed twice.
_NAMES_ERROR = re.compile(rb'"(errors?|base_resp|message|detail|msg|title)"')
_FAULT_KEYS = (*MESSAGE_KEYS, "msg", "error_msg", "title", "html-message")
_ANSWER_KEYS = ("choices", "candidates", "content", "output", "promptFeedback", "completion")
_STATUS_OF_KIND = {"authentication": 401, "quota": 402, "unknown_model": 404, "rate_limited": 429}


def adapt(model: Model) -> Model:
    """Have the client of a model take an error for one, whatever status it came with."""
    client: Any = model.provider and model.provider.client
    for path in _HTTP_CLIENTS:
        with suppress(AttributeError):
            hooks = attrgetter(path + ".event_hooks")(client)
            hooks["request"].append(refuse_compression)
            hooks["response"].append(_unmask)
            return model
    with suppress(AttributeError):  # boto3's
        client.meta.events.register("before-parse", _unmask_parsed)
        client.meta.events.register("after-call", _copy_status)
    return model


def find_status(body: object) -> int | None:
    """Return the status that a reply should have had which is a "200", but holds an error."""
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, dict) or not (error := _find_failure(cast("dict[str, Any]", body))):
        return None
    if status := read_status(list(iter_tables(error))):
        return status
    kind = classify_reply(ModelAPIError("", "", body=error))
    return _STATUS_OF_KIND.get(kind, 400) if kind and kind != "overloaded" else 500


async def _unmask(response: Any) -> None:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200:
        return
    if "json" in kind:
        response.status_code = _find_status(await response.aread())
    elif "event-stream" in kind and "content-encoding" not in response.headers:
        wrap_stream(response, lambda chunks: _read_events(chunks, response.headers))


async def _read_events(chunks: AsyncIterator[bytes], headers: Any) -> AsyncIterator[bytes]:
    """Yield server-sent events in the one form that every SDK reads.

    Raises ModelHTTPError for an event that is an error, with the status that it stands for.
    """
    name = b""
    async for lines in _read_lines(chunks):
        event = b""
        for line in map(_simplify_line, lines):
            if error := _find_error(line):
                yield event
                raise ModelHTTPError(find_status(error) or 500, "", error, headers=headers)
            if line.startswith(b"event:"):
                name = line
            elif line:
                event, name = event + name + line, b""
        if event:
            yield event


async def _read_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = _LINE_END.split(rest + chunk)
        yield lines
    yield [rest]


def _simplify_line(line: bytes) -> bytes:
    """Return a line of a stream; nothing for a comment, and for what no answer needs."""
    line = line.removeprefix(codecs.BOM_UTF8)
    name, colon, value = line.partition(b":")
    value = value.removeprefix(b" ").rstrip(b"\r")
    if (colon and name in (b"", b"id", b"retry")) or (name, value) == (b"event", b"message"):
        return b""
    return _DATA + value + b"\n" if colon and name == b"data" else line + b"\n"


def _find_error(line: bytes) -> Any:
    """Return the error that an event is, even where it has the usage of a part of an answer."""
    if not line.startswith(_DATA) or not _NAMES_ERROR.search(line):
        return None
    with suppress(ValueError, RecursionError):
        event: Any = json.loads(line[len(_DATA) :])
        body: dict[str, Any] = event if hasattr(event, "get") else {}
        used = body.pop("usage", None)
        if used and not (body.get("error") or find_choice_error(body)):
            return None
        return event if find_status(event) else None
    return None


def _unmask_parsed(response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict.get("body")
    if response_dict.get("status_code") == 200 and isinstance(body, bytes):
        response_dict["status_code"] = _find_status(body)


def _copy_status(http_response: Any, parsed: dict[str, Any], **_: object) -> None:
    http_response.status_code = parsed["ResponseMetadata"]["HTTPStatusCode"]


def _find_status(content: bytes) -> int:
    if len(content) > _MAX_BYTES or content.lstrip()[:1] not in (b"{", b"["):
        return 200
    try:
        return find_status(json.loads(content)) or 200
    except (ValueError, RecursionError):
        return 200


def _find_failure(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part of a body that is an error; None where it is an answer, or neither."""
    minimax: Any = body.get("base_resp") or {}
    error = find_choice_error(body) or body.get("error") or body.get("errors")
    error = error or (minimax if minimax.get("status_code") else None)
    if any(body.get(name) for name in _ANSWER_KEYS):
        usage: Any = body.get("usage") or {}
        # The part of an answer that has arrived is paid for.
        return None if usage.get("completion_tokens") or not error else {"error": error}
    return body if error or any(isinstance(body.get(name), str) for name in _FAULT_KEYS) else None
