"""SearXNG, a metasearch server of your own: https://docs.searxng.org/dev/search_api.html.

It answers 403 unless `formats` in its settings.yml lists json.
"""

from pydantic import Field

from ..fleet import Fleet, Settings
from .search import Found, Reply, ask, key

REMOTE = True


class SearxngSettings(Settings):
    """The table `[searxng]` of fleet.toml; SEARXNG_URL says where the server is."""

    timeout_s: float = Field(default=10, gt=0)


class Result(Reply):
    """One entry of `results`."""

    url: str
    title: str = ""


class Results(Reply):
    """The body of an answer."""

    results: list[Result]


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search through the server; it gives a page of results, the first `limit` are taken."""
    settings = fleet.section("searxng", SearxngSettings)
    answer = await ask(
        "GET",
        f"{key('SEARXNG_URL').rstrip('/')}/search",
        Results,
        timeout_s=settings.timeout_s,
        params={"q": query, "format": "json"},
    )
    return [Found(one.title or one.url, one.url) for one in answer.results[:limit]]
