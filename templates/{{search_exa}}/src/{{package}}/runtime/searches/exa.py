"""Exa: https://exa.ai/docs/reference/search."""

from ..fleet import Fleet
from .search import ApiSettings, Found, Page, Reply, ask, require_key

REMOTE = True


class ExaSettings(ApiSettings):
    """The table `[exa]` of fleet.toml."""

    base_url: str = "https://api.exa.ai"


class ReadPage(Page):
    """One entry of `results`, with the text that Exa extracted."""

    text: str | None = None


class Results(Reply):
    """The body of an answer."""

    results: tuple[ReadPage, ...]


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search the web by meaning; a result's text is what Exa extracted from the page."""
    settings = fleet.section("exa", ExaSettings)
    answer = await ask(
        "POST",
        f"{settings.base_url}/search",
        Results,
        timeout_s=settings.timeout_s,
        headers={"x-api-key": require_key("EXA_API_KEY")},
        body={"query": query, "numResults": limit, "contents": {"text": True}},
    )
    return [page.to_found(page.text or None) for page in answer.results]
