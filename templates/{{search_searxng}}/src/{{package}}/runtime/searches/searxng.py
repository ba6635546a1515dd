"""SearXNG, a metasearch server of your own: https://docs.searxng.org/dev/search_api.html.

It answers 403 unless `formats` in its settings.yml lists json.
"""

from pydantic import Field

from ..fleet import Fleet
from ..settings import Settings
from .search import Found, Pages, ask, require_key

REMOTE = True


class SearxngSettings(Settings):
    """The table `[searxng]` of fleet.toml; SEARXNG_URL says where the server is."""

    timeout_s: float = Field(default=10, gt=0)


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search through the server; it gives a page of results, the first `limit` are taken."""
    settings = fleet.section("searxng", SearxngSettings)
    answer = await ask(
        "GET",
        f"{require_key('SEARXNG_URL').rstrip('/')}/search",
        Pages,
        timeout_s=settings.timeout_s,
        params={"q": query, "format": "json"},
    )
    return [page.to_found() for page in answer.results[:limit]]
