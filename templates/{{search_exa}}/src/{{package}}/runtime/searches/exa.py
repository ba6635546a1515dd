"""Exa: https://exa.ai/docs/reference/search."""

from ..fleet import Fleet
from .search import ApiSettings, Found, Reply, ask, key

REMOTE = True


class ExaSettings(ApiSettings):
    """The table `[exa]` of fleet.toml."""

    base_url: str = "https://api.exa.ai"


class Result(Reply):
    """One entry of `results`."""

    url: str
    title: str | None = None
    text: str | None = None


class Results(Reply):
    """The body of an answer."""

    results: list[Result]


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """Search the web by meaning; a result's text is what Exa extracted from the page."""
    settings = fleet.section("exa", ExaSettings)
    answer = await ask(
        "POST",
        f"{settings.base_url}/search",
        Results,
        timeout_s=settings.timeout_s,
        headers={"x-api-key": key("EXA_API_KEY")},
        body={"query": query, "numResults": limit, "contents": {"text": True}},
    )
    return [Found(one.title or one.url, one.url, one.text or None) for one in answer.results]
