"""Brave Search: https://api-dashboard.search.brave.com/app/documentation/web-search."""

from ..fleet import Fleet
from .search import ApiSettings, Found, Page, Reply, ask, require_key

REMOTE = True
LONGEST_QUERY = 400


class BraveSettings(ApiSettings):
    """The table `[brave]` of fleet.toml."""

    base_url: str = "https://api.search.brave.com/res/v1"


class Web(Reply):
    """The part of an answer with web pages."""

    results: tuple[Page, ...] = ()


class Results(Reply):
    """The body of an answer; without hits there is no `web`."""

    web: Web = Web()


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search the web; the pages are still to be fetched."""
    settings = fleet.section("brave", BraveSettings)
    answer = await ask(
        "GET",
        f"{settings.base_url}/web/search",
        Results,
        timeout_s=settings.timeout_s,
        headers={
            "X-Subscription-Token": require_key("BRAVE_API_KEY"),
            "Accept": "application/json",
        },
        params={
            "q": query[:LONGEST_QUERY],
            "count": min(limit, 20),
            "text_decorations": "false",
        },
    )
    return [page.to_found() for page in answer.web.results]
