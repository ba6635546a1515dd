"""Error replies that a server sends as a success, status 200, whole or as the first of a stream.

They get the status that they should have had before the client library reads them: it raises what
it would have raised, for every provider in the same way.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from operator import attrgetter
from typing import Any

from pydantic_ai.models import Model

from .replies import status_of

# Where the client of a provider keeps the one of HTTP: OpenAI's, Anthropic's and Groq's; Mistral's;
# Google's.
_INSIDE = ("_client", "sdk_configuration.async_client", "_api_client._async_httpx_client")
_MOST = 200_000  # bytes; no error is longer
_EVENT = re.compile(rb"^data:[ ]?(.*)\r?\n", re.M)


def unmask_errors(model: Model) -> None:
    """Have the client of a model take an error for one, whatever status it came with."""
    client: Any = model.provider and model.provider.client
    for path in _INSIDE:
        with suppress(AttributeError):
            attrgetter(path + ".event_hooks")(client)["response"].append(_unmask)
            return
    with suppress(AttributeError):  # boto3's
        client.meta.events.register("before-parse", _unmask_parsed)
        client.meta.events.register("after-call", _take_over)


async def _unmask(response: Any) -> None:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200:
        return
    if "json" in kind:
        response.status_code = _status(await response.aread())
    elif "event-stream" in kind and "content-encoding" not in response.headers:
        await _peek(response)


async def _peek(response: Any) -> None:
    """Read the first event of a stream: what a client gets is either an error or all of it."""
    chunks, head, event = aiter(response.stream), b"", None
    async for chunk in chunks:
        head += chunk
        if (event := _EVENT.search(head)) or len(head) > _MOST:
            break
    event = event or _EVENT.search(head + b"\n")  # a stream may end within its first line
    if event and (status := _status(event[1])) != 200:
        response.status_code, head, chunks = status, event[1], _nothing()
        response.headers["content-type"] = "application/json"
    stream, known = response.stream, type(response.stream).__mro__
    # httpx's or httpx2's
    base: Any = next(one for one in known if one.__name__ == "AsyncByteStream")

    class Peeked(base):
        """The head again, and then the rest."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield head
            async for chunk in chunks:
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    response.stream = Peeked()


async def _nothing() -> AsyncIterator[bytes]:
    for never in ():
        yield never


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
