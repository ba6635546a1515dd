"""What a search is, what it finds, and how a search API is asked.

Each search is a module beside this one. `SearchFailed` is the only error that it raises, so that
the other searches go on.
"""

import asyncio
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import FleetError
from ..fleet import Fleet
from ..settings import Settings
from ..text import drop_half_characters, sanitize

MAX_BYTES = 5_000_000
_PARTS = 100
Answer = TypeVar("Answer", bound=BaseModel)


class SearchFailed(FleetError):
    """A search gave no results: it is down, out of quota, or its key or its answer is wrong."""


class BodyRefused(FleetError):
    """A body that is too large, or packed in another way than was asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result. `text` is all the text there is; None when `url` has to be fetched for it."""

    title: str
    url: str
    text: str | None = None

    def __post_init__(self) -> None:
        """Replace what no text may hold."""
        for name in ("title", "url", "text"):
            object.__setattr__(self, name, sanitize(getattr(self, name)))


class Hits(list[Found]):
    """Results, best first; `problems` name what could not be searched."""

    def __init__(self, found: Iterable[Found] = (), problems: Sequence[str] = ()) -> None:
        """Keep the results and the problems."""
        super().__init__(found)
        self.problems = problems


class Search(Protocol):
    """What each module of runtime/searches offers. `REMOTE`: whether a query leaves this machine."""

    REMOTE: Final[bool]

    async def search(self, query: str, limit: int, fleet: Fleet) -> list[Found]:
        """Return at most `limit` results, best first; `Hits` where some were left out.

        Raises:
            SearchFailed: The search gave no results.
        """
        ...


class ApiSettings(Settings):
    """A search's own table of fleet.toml: where its API is, and the seconds it may take."""

    base_url: str
    timeout_s: float = Field(default=10, gt=0)


class Reply(BaseModel):
    """What is read of an API's answer; other keys are ignored, since APIs add some over time."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Page(Reply):
    """One entry of an API's list of results."""

    url: str
    title: str | None = None

    def to_found(self, text: str | None = None) -> Found:
        """Return the page as a result, named by its URL if it has no title."""
        return Found(self.title or self.url, self.url, text)


class Pages(Reply):
    """The body of an answer whose results are to be fetched from their sites."""

    results: tuple[Page, ...]


def require_key(variable: str) -> str:
    """Return an API key from the environment.

    Raises:
        SearchFailed: The variable is not set; the message names it.
    """
    value = os.environ.get(variable)
    if not value:
        raise SearchFailed(f"set {variable} to search there")
    return value


async def ask(
    method: str,
    url: str,
    answer: type[Answer],
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    """Send one request and return its JSON as `answer`.

    Raises:
        SearchFailed: It did not come; the message never shows the headers.
    """
    client = httpx2.AsyncClient(timeout=timeout_s, headers={"Accept-Encoding": "gzip"})
    try:
        async with (
            # The client's own timeout starts again with each piece of a body.
            asyncio.timeout(timeout_s),
            client,
            client.stream(method, url, headers=headers, params=params, json=body) as response,
        ):
            _check(response)
            data = await read_body(response, MAX_BYTES)
            return answer.model_validate_json(drop_half_characters(data))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SearchFailed(f"cannot be reached ({type(error).__name__})") from None
    except TimeoutError:
        raise SearchFailed(f"cannot be reached (took over {timeout_s:g} s)") from None
    except BodyRefused as error:
        raise SearchFailed(f"sent an answer that {error}") from None
    except ValidationError:
        raise SearchFailed("answered in an unknown form") from None


async def read_body(response: httpx2.Response, most: int) -> bytes:
    """Return a body of at most `most` bytes, and unpack it no further than that.

    Raises:
        BodyRefused: It is larger, cut short, or not gzip although it says so.
    """
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("", "identity", "gzip", "x-gzip"):
        raise BodyRefused(f"is packed as {packed}, not as gzip")
    unpacker = _Unpacker() if "gzip" in packed else None
    data, parts = bytearray(), 0
    async for part in response.aiter_raw():
        parts += 1
        if parts % _PARTS == 0:
            # A body in parts of a byte each would otherwise leave other tasks no turn.
            await asyncio.sleep(0)
        data += unpacker.unpack(part, most + 1 - len(data)) if unpacker else part
        if len(data) > most:
            raise BodyRefused(f"is larger than {most} bytes")
        if unpacker and unpacker.is_over:
            break
    if unpacker and data and unpacker.is_cut:
        raise BodyRefused("is cut short")
    return bytes(data)


class _Unpacker:
    """Unpacks gzip, which may be several streams; whatever follows the last one is ignored."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.is_over = False

    @property
    def is_cut(self) -> bool:
        """Whether more should have come."""
        return not self._stream.eof

    def unpack(self, part: bytes, most: int) -> bytes:
        """Return at most `most` bytes.

        Raises:
            BodyRefused: The part is not valid gzip.
        """
        unpacked = b""
        while part and len(unpacked) < most and not self.is_over:
            if self._stream.eof and part[:1] == b"\x1f":
                self._stream = zlib.decompressobj(wbits=31)
            self.is_over = self._stream.eof
            try:
                unpacked += self._stream.decompress(part, most - len(unpacked))
            except zlib.error:
                raise BodyRefused("is not valid gzip") from None
            part = self._stream.unused_data
        return unpacked


def _check(response: httpx2.Response) -> None:
    status = response.status_code
    if status in (401, 403):
        raise SearchFailed(f"refused the request ({status}): check its key and settings")
    if status == 429:
        wait = response.headers.get("Retry-After")
        raise SearchFailed("is at its rate limit" + (f" for {wait} s" if wait else ""))
    if status != 200:
        raise SearchFailed(f"answered with status {status}")
