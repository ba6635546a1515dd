"""Tavily: https://docs.tavily.com/documentation/api-reference/endpoint/search."""

from ..fleet import Fleet
from .search import ApiSettings, Found, Page, Reply, ask, require_key

REMOTE = True


class TavilySettings(ApiSettings):
    """The table `[tavily]` of fleet.toml. An "advanced" search costs twice as much."""

    base_url: str = "https://api.tavily.com"
    search_depth: str = "basic"


class ReadPage(Page):
    """One entry of `results`, with the text that Tavily extracted."""

    raw_content: str | None = None


class Results(Reply):
    """The body of an answer."""

    results: tuple[ReadPage, ...]


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search the web; a result's text is what Tavily extracted from the page."""
    settings = fleet.section("tavily", TavilySettings)
    answer = await ask(
        "POST",
        f"{settings.base_url}/search",
        Results,
        timeout_s=settings.timeout_s,
        headers={"Authorization": f"Bearer {require_key('TAVILY_API_KEY')}"},
        body={
            "query": query,
            "max_results": min(limit, 20),
            "search_depth": settings.search_depth,
            "include_raw_content": "text",
        },
    )
    return [page.to_found(page.raw_content) for page in answer.results]
