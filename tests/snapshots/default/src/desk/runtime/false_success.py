"""Error replies that a server sends as a success, status 200, whole or in a stream.

They get the status that they should have had before the client library reads them: it raises what
it would have raised, for every provider in the same way. Streams lose what some SDKs trip over.
"""

import codecs
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from operator import attrgetter
from typing import Any

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import Model

from .replies import error_of_choice, status_of

# Where the client of a provider keeps the one of HTTP: OpenAI's, Anthropic's and Groq's; Mistral's;
# Google's.
_INSIDE = ("_client", "sdk_configuration.async_client", "_api_client._async_httpx_client")
_MOST = 200_000  # bytes; no error is longer
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_DATA = b"data: "
# What may stand for an error: the rest of a stream is not read twice.
_NAMES_ERROR = re.compile(rb'"(errors?|base_resp|message|detail|msg|title)"')


def unmask_errors(model: Model) -> None:
    """Have the client of a model take an error for one, whatever status it came with."""
    client: Any = model.provider and model.provider.client
    for path in _INSIDE:
        with suppress(AttributeError):
            hooks = attrgetter(path + ".event_hooks")(client)
            hooks["request"].append(_ask_plain)
            hooks["response"].append(_unmask)
            return
    with suppress(AttributeError):  # boto3's
        client.meta.events.register("before-parse", _unmask_parsed)
        client.meta.events.register("after-call", _take_over)


async def _ask_plain(request: Any) -> None:
    # What is compressed cannot be read on the way in.
    request.headers["accept-encoding"] = "identity"


async def _unmask(response: Any) -> None:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200:
        return
    if "json" in kind:
        response.status_code = _status(await response.aread())
    elif "event-stream" in kind and "content-encoding" not in response.headers:
        response.stream = _stream(response)


def _stream(response: Any) -> Any:
    """The body of a response, as its own HTTP library (httpx or httpx2) has streams."""
    inner, known = response.stream, type(response.stream).__mro__
    base: Any = next(one for one in known if one.__name__ == "AsyncByteStream")

    class Plain(base):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return _plain(inner, response.headers)

        async def aclose(self) -> None:
            await inner.aclose()

    return Plain()


async def _plain(chunks: AsyncIterator[bytes], headers: Any) -> AsyncIterator[bytes]:
    """Server-sent events in the one form that every SDK reads.

    Raises ModelHTTPError for an event that is an error, with the status that it stands for.
    """
    name = b""
    async for lines in _lines(chunks):
        said = b""
        for line in map(_plain_line, lines):
            if error := _error_in(line):
                yield said
                raise ModelHTTPError(status_of(error) or 500, "", error, headers=headers)
            if line.startswith(b"event:"):
                name = line
            elif line:
                said, name = said + name + line, b""
        if said:
            yield said


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = _LINE_END.split(rest + chunk)
        yield lines
    yield [rest]


def _plain_line(line: bytes) -> bytes:
    """A line of a stream; nothing for a comment, and for what no answer needs."""
    line = line.removeprefix(codecs.BOM_UTF8)
    name, colon, value = line.partition(b":")
    value = value.removeprefix(b" ").rstrip(b"\r")
    if (colon and name in (b"", b"id", b"retry")) or (name, value) == (b"event", b"message"):
        return b""
    return _DATA + value + b"\n" if colon and name == b"data" else line + b"\n"


def _error_in(line: bytes) -> Any:
    """The error that an event is; what its answer has used up to then makes it none the less one."""
    if not line.startswith(_DATA) or not _NAMES_ERROR.search(line):
        return None
    with suppress(ValueError, RecursionError):
        event: Any = json.loads(line[len(_DATA) :])
        body: dict[str, Any] = event if hasattr(event, "get") else {}
        used = body.pop("usage", None)
        if used and not (body.get("error") or error_of_choice(body)):
            return None
        return event if status_of(event) else None
    return None


def _unmask_parsed(response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict.get("body")
    if response_dict.get("status_code") == 200 and isinstance(body, bytes):
        response_dict["status_code"] = _status(body)


def _take_over(http_response: Any, parsed: dict[str, Any], **_: object) -> None:
    http_response.status_code = parsed["ResponseMetadata"]["HTTPStatusCode"]


def _status(content: bytes) -> int:
    if len(content) > _MOST or content.lstrip()[:1] not in (b"{", b"["):
        return 200
    try:
        return status_of(json.loads(content)) or 200
    except (ValueError, RecursionError):
        return 200
