"""Give error replies that a server sends as a success (status 200) the status they should have.

This happens before the client library reads them, whole or in a stream: the library then raises
what it would have raised, for every provider in the same way. Streams lose what some SDKs trip over.
"""

import codecs
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import Model

from .replies import find_choice_error, find_status

# Where a provider's client keeps that of HTTP: OpenAI's, Anthropic's, Groq's; Mistral's; Google's.
_HTTP_CLIENTS = ("_client", "sdk_configuration.async_client", "_api_client._async_httpx_client")
_MAX_BYTES = 200_000  # no error is longer
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_DATA = b"data: "
# What may be an error: the other events of a stream are not parsed twice.
_NAMES_ERROR = re.compile(rb'"(errors?|base_resp|message|detail|msg|title)"')


def unmask_errors(model: Model) -> None:
    """Have the client of a model take an error for one, whatever status it came with."""
    client: Any = model.provider and model.provider.client
    for path in _HTTP_CLIENTS:
        with suppress(AttributeError):
            hooks = attrgetter(path + ".event_hooks")(client)
            hooks["request"].append(_refuse_compression)
            hooks["response"].append(_unmask)
            return
    with suppress(AttributeError):  # boto3's
        client.meta.events.register("before-parse", _unmask_parsed)
        client.meta.events.register("after-call", _copy_status)


async def _refuse_compression(request: Any) -> None:
    # What is compressed cannot be read on the way in.
    request.headers["accept-encoding"] = "identity"


async def _unmask(response: Any) -> None:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200:
        return
    if "json" in kind:
        response.status_code = _find_status(await response.aread())
    elif "event-stream" in kind and "content-encoding" not in response.headers:
        wrap_stream(response, lambda chunks: _read_events(chunks, response.headers))


def wrap_stream(
    response: Any, read: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
) -> None:
    """Have the body of a response read by `read`: it stays a stream of httpx or httpx2."""
    inner = response.stream
    base: Any = next(one for one in type(inner).__mro__ if one.__name__ == "AsyncByteStream")

    class Wrapped(base):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return read(inner)

        async def aclose(self) -> None:
            await inner.aclose()

    response.stream = Wrapped()


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
