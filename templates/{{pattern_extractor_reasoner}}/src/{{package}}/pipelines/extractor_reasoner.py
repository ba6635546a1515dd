"""A long document: the cheap chain extracts from its parts, the expensive one reads the facts.

split → extract each part → ground → merge → reason → check the citations
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from ..agents.extract import EXTRACT
from ..agents.reason import REASON
from ..runtime import citations
from ..runtime.document import DocumentError
from ..runtime.errors import AnswerInvalid, ChainExhausted, Escalated, FleetError
from ..runtime.facts import Mention, group_by_kind, keep_grounded, merge_mentions
from ..runtime.reasoning_report import Reasoned, estimate_tokens
from ..runtime.request import Route
from ..runtime.run import Run
from ..runtime.settings import Settings
from ..runtime.splitting import Part, split
from ..runtime.untrusted import delimit, find_orders

NOTHING = "The document says nothing of what extraction.py asks for."


class ExtractorSettings(Settings):
    """The table `[extractor_reasoner]` of fleet.toml."""

    part_chars: int = Field(default=8000, ge=200)
    overlap_chars: int = Field(default=400, ge=0)
    concurrency: int = Field(default=8, ge=1)
    max_parts: int = Field(default=200, ge=1)
    question: str = "What was decided, who does what by when, and what is still open?"

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> Self:
        if self.overlap_chars * 2 >= self.part_chars:
            raise ValueError("overlap_chars has to be less than half of part_chars")
        return self


async def run(run: Run, route: Route) -> Reasoned:
    """Answer the question about the request's text; its option `question` asks another one.

    Raises:
        DocumentError: The text is blank or too long.
        ChainExhausted: No part could be extracted, or the reasoning failed.
    """
    del route  # both stages have a chain of their own
    settings = run.settings("extractor_reasoner", ExtractorSettings)
    parts = _split(run.request.text, settings)
    mentions, dropped, failed = await _extract_parts(run, parts, settings.concurrency)
    facts = merge_mentions(mentions)
    listed = json.dumps(group_by_kind(facts), ensure_ascii=False, separators=(",", ":"))
    answer, unknown = NOTHING, []
    if facts:
        answer, unknown = await _answer(run, settings.question, listed, len(facts))
    cited = set(citations.find_numbers(answer))
    document_tokens, fact_tokens = (
        estimate_tokens(run.request.text),
        estimate_tokens(listed) if facts else 0,
    )
    return Reasoned(
        question=settings.question,
        answer=answer,
        cited=[fact for fact in facts if fact.number in cited],
        facts=facts,
        ungrounded=dropped,
        merged=len(mentions) - len(facts),
        parts=len(parts),
        failed_parts=failed,
        unknown_citations=unknown,
        suspicious=await asyncio.to_thread(find_orders, run.request.text),
        document_tokens=document_tokens,
        fact_tokens=fact_tokens,
        spared_tokens=document_tokens - fact_tokens,
    )


def _split(text: str, settings: ExtractorSettings) -> list[Part]:
    if not text.strip():
        raise DocumentError("The document is empty", "give a text, or a file that holds one")
    least = -(-len(text) // settings.part_chars)
    known = least <= settings.max_parts
    parts = split(text, settings.part_chars, settings.overlap_chars) if known else []
    if not 0 < len(parts) <= settings.max_parts:
        raise DocumentError(
            f"The document makes {max(least, len(parts))} parts and max_parts is "
            f"{settings.max_parts}",
            "split it, or raise [extractor_reasoner] max_parts",
        )
    return parts


async def _extract_parts(
    run: Run, parts: Sequence[Part], concurrency: int
) -> tuple[list[Mention], int, list[str]]:
    """Return the grounded facts in order, how many were dropped, and the parts not read.

    A part that no model can extract is left out; if that is every part, its error is raised.
    """
    free = asyncio.Semaphore(concurrency)

    async def extract(part: Part) -> tuple[list[Mention], int] | FleetError:
        async with free:
            try:
                return keep_grounded(await run.ask(EXTRACT, delimit(part.text)), part)
            except (ChainExhausted, AnswerInvalid, Escalated) as error:
                return error

    results = await asyncio.gather(*map(extract, parts))
    for handed in (result for result in results if isinstance(result, Escalated)):
        raise handed  # only now: the other parts are paid for and done
    errors = [result for result in results if isinstance(result, Exception)]
    if len(errors) == len(parts):
        raise errors[0]
    read = [result for result in results if not isinstance(result, Exception)]
    failed = [
        f"characters {part.start} to {part.end}: {result}"
        for part, result in zip(parts, results, strict=True)
        if isinstance(result, Exception)
    ]
    return [m for found, _ in read for m in found], sum(dropped for _, dropped in read), failed


async def _answer(run: Run, question: str, facts: str, count: int) -> tuple[str, list[int]]:
    """Return the answer, and its citations of missing facts after one chance to do better."""
    asked = f"{question}\n\n{delimit(facts, 'facts')}"
    answer = await run.ask(REASON, asked)
    if wrong := _find_mistake(answer, count):
        answer = await run.ask(REASON, f"{asked}\n\nYour last answer was:\n{answer}\n\n{wrong}")
    unknown = [number for number in citations.find_numbers(answer) if not 1 <= number <= count]
    return citations.remove_numbers(answer, unknown), unknown


def _find_mistake(answer: str, count: int) -> str:
    cited = citations.find_numbers(answer)
    if not cited:
        return "It cites no fact. Write it again and cite each statement's facts by number."
    if unknown := [number for number in cited if not 1 <= number <= count]:
        return f"The facts {unknown} do not exist. Write it again and cite existing ones."
    return ""
