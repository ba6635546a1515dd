"""What a search is, what it finds, and how a search API is asked.

Each search is a module beside this one. `SearchFailed` is its only error: others go on.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import FleetError
from ..fleet import Fleet, Settings

MAX_BYTES = 5_000_000
Answer = TypeVar("Answer", bound=BaseModel)


class SearchFailed(FleetError):
    """A search has no answer: down, out of quota, a wrong key, or an answer in no known form."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result. `text` is the whole of what is there; None when `url` is still to be fetched."""

    title: str
    url: str
    text: str | None = None


class Search(Protocol):
    """What each module of runtime/searches offers."""

    @property
    def REMOTE(self) -> bool:
        """Whether a query leaves this machine."""
        ...

    async def search(self, query: str, limit: int, fleet: Fleet) -> list[Found]:
        """At most `limit` results, best first. Raises SearchFailed."""
        ...


class ApiSettings(Settings):
    """A search's own table of fleet.toml: where its API is, and the seconds it may take."""

    base_url: str
    timeout_s: float = Field(default=10, gt=0)


class Reply(BaseModel):
    """What is read of an API's answer: what else it holds is its own business."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def key(variable: str) -> str:
    """An API key from the environment. Raises SearchFailed that names the variable."""
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
    """One request, its JSON as `answer`. Raises SearchFailed; never shows the headers."""
    client = httpx2.AsyncClient(timeout=timeout_s)
    try:
        async with (
            client,
            client.stream(method, url, headers=headers, params=params, json=body) as response,
        ):
            _check(response)
            return answer.model_validate_json(await _read(response))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SearchFailed(f"cannot be reached ({type(error).__name__})") from None
    except ValidationError:
        raise SearchFailed("answered in no known form") from None


def _check(response: httpx2.Response) -> None:
    status = response.status_code
    if status in (401, 403):
        raise SearchFailed(f"refused the request ({status}): check its key and settings")
    if status == 429:
        wait = response.headers.get("Retry-After")
        raise SearchFailed("is at its rate limit" + (f" for {wait} s" if wait else ""))
    if status != 200:
        raise SearchFailed(f"answered with status {status}")


async def _read(response: httpx2.Response) -> bytes:
    data = b""
    async for part in response.aiter_bytes():
        data += part
        if len(data) > MAX_BYTES:
            raise SearchFailed(f"answered more than {MAX_BYTES} bytes")
    return data
