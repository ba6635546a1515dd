"""Question → queries → search → fetch → claims per source → merge → synthesis with citations.

Cheap models read, an expensive one writes, and it sees claims only. An error of a
search, a page or a model is noted in the report, and the rest goes on.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

from pydantic import Field

from ..agents.claim import CLAIM, Claims
from ..agents.query import QUERY
from ..agents.synthesise import SYNTHESISE
from ..runtime.errors import AnswerInvalid, ChainExhausted
from ..runtime.fetch import Fetcher, FetchRefused, FetchSettings, Page
from ..runtime.ledger.attempt import DEMO
from ..runtime.request import Route
from ..runtime.run import Run
from ..runtime.searches.search import Found, Search, SearchFailed
from ..runtime.settings import Settings
from ..runtime.untrusted import delimit, find_orders
from .research_report import (
    Quote,
    Report,
    compose_answer,
    keep_grounded,
    merge_claims,
    number_claims,
)

Result = TypeVar("Result")
NO_ANSWER = (ChainExhausted, AnswerInvalid)


class ResearchSettings(Settings):
    """The table `[research]` of fleet.toml."""

    max_queries: int = Field(default=3, ge=1)
    results_per_query: int = Field(default=4, ge=1)
    max_sources: int = Field(default=12, ge=1)
    source_chars: int = Field(default=20_000, ge=1)
    max_parallel: int = Field(default=8, ge=1)
    fetch: FetchSettings = FetchSettings()


async def run(run: Run, route: Route, *, searches: Mapping[str, Search]) -> Report:
    """Answer the request from sources.

    Options: any number of `[research]`, such as max_sources.

    Raises:
        ChainExhausted: No model could read the sources, or none could write the answer.
    """
    del route  # each stage has a chain of its own
    settings = run.settings("research", ResearchSettings)
    report = Report(question=run.request.text)
    report.queries = await _write_queries(run, settings, report)
    if run.environment == DEMO:  # a recorded run must not reach the network
        searches = {name: search for name, search in searches.items() if not search.REMOTE}
    found = await _search(run, searches, settings, report)
    pages = await _read_pages(found, settings, report)
    quoted = await _extract_claims(run, pages, settings, report)
    report.claims = merge_claims(quoted)
    report.counts.merged = len(quoted) - len(report.claims)
    if report.claims:
        await _synthesise(run, report)
    return report


async def _write_queries(run: Run, settings: ResearchSettings, report: Report) -> list[str]:
    """Return what to search for; the question itself if the model writes nothing usable."""
    request = f"At most {settings.max_queries} queries.\n\n{delimit(report.question, 'question')}"
    try:
        written = (await run.ask(QUERY, request)).queries
    except NO_ANSWER as error:
        report.problems.append(f"No queries were written, the question was used: {error}")
        written = []
    queries = dict.fromkeys(query.strip() for query in written if query.strip())
    return list(queries)[: settings.max_queries] or [report.question]


async def _search(
    run: Run, searches: Mapping[str, Search], settings: ResearchSettings, report: Report
) -> list[Found]:
    """Return the best results of every search and query, one per address."""
    results = await asyncio.gather(
        *(
            search.search(query, settings.results_per_query, run.fleet)
            for search in searches.values()
            for query in report.queries
        ),
        return_exceptions=True,
    )
    names = [name for name in searches for _ in report.queries]
    lists: list[list[Found]] = []
    for name, result in zip(names, results, strict=True):
        if isinstance(result, SearchFailed):
            report.problems.append(f"{name}: {result}")
        else:
            lists.append(_or_raise(result))
            report.problems += getattr(result, "problems", ())
    report.problems = list(dict.fromkeys(report.problems))
    # By rank, so that no search and no query crowds the others out.
    ranked = [found for found in chain(*zip_longest(*lists)) if found]
    report.counts.results = len(ranked)
    best: dict[str, Found] = {}
    for one in ranked:
        best.setdefault(one.url, one)
    return list(best.values())[: settings.max_sources]


async def _read_pages(
    found: Sequence[Found], settings: ResearchSettings, report: Report
) -> list[Page]:
    """Return the text of each result, fetched if the search did not give it."""
    async with Fetcher(settings.fetch) as fetcher:
        results = await _gather_bounded(settings, [_read_page(one, fetcher) for one in found])
    pages: list[Page] = []
    for result in results:
        if isinstance(result, FetchRefused):
            report.problems.append(str(result))
            continue
        page = _or_raise(result)
        pages.append(Page(page.url, page.title, page.text[: settings.source_chars]))
        if passages := await asyncio.to_thread(find_orders, pages[-1].text):
            report.counts.flagged += 1
            report.problems.append(
                f"{page.url}: reads like instructions to a model, which were not followed: "
                f"“{passages[0]}”"
            )
    report.counts.sources = len(pages)
    return pages


async def _read_page(found: Found, fetcher: Fetcher) -> Page:
    if found.text is None:
        return await fetcher.page(found.url)
    return Page(found.url, found.title, found.text)


async def _extract_claims(
    run: Run, pages: Sequence[Page], settings: ResearchSettings, report: Report
) -> list[tuple[str, Quote]]:
    """Return each source's claims about the question; one whose quote is not in it is dropped."""
    question = delimit(report.question, "question")
    asks = [
        run.ask(CLAIM, f"{question}\n\n{delimit(page.text, 'source')}", source=page.text)
        for page in pages
    ]
    results = await _gather_bounded(settings, asks)
    failed = [result for result in results if isinstance(result, NO_ANSWER)]
    if failed and len(failed) == len(results):
        raise failed[0]
    quoted: list[tuple[str, Quote]] = []
    for page, result in zip(pages, results, strict=True):
        if isinstance(result, NO_ANSWER):
            report.problems.append(f"{page.url}: was not read: {result}")
            continue
        claims: Claims = _or_raise(result)
        kept = keep_grounded(claims.claims, page)
        report.counts.claims += len(claims.claims)
        report.counts.ungrounded += len(claims.claims) - len(kept)
        quoted += kept
    return quoted


async def _synthesise(run: Run, report: Report) -> None:
    question = delimit(report.question, "question")
    claims = delimit(number_claims(report.claims), "claims")
    synthesis = await run.ask(SYNTHESISE, f"{question}\n\n{claims}")
    answer, report.counts.uncited = compose_answer(synthesis, report.claims)
    report.unanswered = synthesis.unanswered
    report.status = "answered" if answer else "unsupported"
    report.answer = answer or "The sources were read, but no sentence of the answer named a claim."


async def _gather_bounded(
    settings: ResearchSettings, tasks: Sequence[Awaitable[Result]]
) -> list[Result | BaseException]:
    """Return all results in order, errors among them; `max_parallel` run at once."""
    places = asyncio.Semaphore(settings.max_parallel)

    async def one(task: Awaitable[Result]) -> Result:
        async with places:
            return await task

    return await asyncio.gather(*map(one, tasks), return_exceptions=True)


def _or_raise(result: Result | BaseException) -> Result:
    if isinstance(result, BaseException):
        raise result
    return result
