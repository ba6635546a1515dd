"""What research returns: claims with their sources, and an answer that cites them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from ..agents.claim import Claim
from ..agents.synthesise import Synthesis
from ..runtime import citations, duplicates, grounding
from ..runtime.fetch import Page
from ..runtime.support import supports

AROUND = 500
"""Characters before a quote that say what "it" is."""


class Quote(BaseModel):
    """Where a claim is from, with the passage word for word."""

    url: str
    title: str
    text: str


class CitedClaim(BaseModel):
    """A claim, everything that supports it, and the numbers of those that contradict it."""

    number: int
    text: str
    quotes: list[Quote]
    contradicts: list[int] = []


class Counts(BaseModel):
    """How much was found, and how much was left out at each step."""

    results: int = 0
    sources: int = 0
    claims: int = 0
    ungrounded: int = 0
    merged: int = 0
    uncited: int = 0
    flagged: int = 0


class Report(BaseModel):
    """The typed result. `answer` cites claims as [1, 2]; `problems` is what did not work.

    Status "nothing_found": no source says anything about the question; "unsupported": no sentence
    of the synthesis named a claim.
    """

    question: str
    status: Literal["answered", "nothing_found", "unsupported"] = "nothing_found"
    answer: str = "No source says anything about this question."
    claims: list[CitedClaim] = []
    unanswered: list[str] = []
    queries: list[str] = []
    problems: list[str] = []
    counts: Counts = Counts()

    def __str__(self) -> str:
        parts = [self.answer]
        for claim in self.claims:
            against = "".join(f", against [{number}]" for number in claim.contradicts)
            parts.append(f"[{claim.number}] {claim.text}{against}")
            parts += [
                f"    {quote.url}: “{' '.join(quote.text.split())}”" for quote in claim.quotes
            ]
        parts += [f"Open: {text}" for text in self.unanswered]
        parts += [f"Note: {text}" for text in self.problems]
        return "\n".join(parts)


def keep_grounded(claims: Sequence[Claim], page: Page) -> list[tuple[str, Quote]]:
    """Return the claims whose quote is in the page and supports them, with that passage."""
    source = grounding.Source(page.text)
    kept: list[tuple[str, Quote]] = []
    for claim in claims:
        passage = source.find(claim.quote)
        if passage is None:
            continue
        around = page.text[max(0, passage.start - AROUND) : passage.end]
        if supports(claim.text, passage.text, around):
            kept.append((claim.text, Quote(url=page.url, title=page.title, text=passage.text)))
    return kept


def merge_claims(quoted: Sequence[tuple[str, Quote]]) -> list[CitedClaim]:
    """Merge near-duplicates into their fullest wording, and mark contradictions."""
    texts = [text for text, _ in quoted]
    groups = duplicates.group_duplicates(texts)
    merged = [max((texts[at] for at in group), key=len) for group in groups]
    claims = [
        CitedClaim(number=number, text=text, quotes=_drop_repeats([quoted[at][1] for at in group]))
        for number, (text, group) in enumerate(zip(merged, groups, strict=True), 1)
    ]
    for one, other in duplicates.find_contradictions(merged):
        claims[one].contradicts.append(other + 1)
        claims[other].contradicts.append(one + 1)
    return claims


def compose_answer(synthesis: Synthesis, claims: Sequence[CitedClaim]) -> tuple[str, int]:
    """Return the answer with its citations, and how many statements without one were dropped."""
    known = {claim.number for claim in claims}
    sentences: list[str] = []
    for statement in synthesis.statements:
        written = citations.find_numbers(statement.text)
        cited = [n for n in dict.fromkeys([*statement.claims, *written]) if n in known]
        if cited:
            text = citations.remove_numbers(statement.text, written)
            sentences.append(f"{text.strip()} [{', '.join(map(str, cited))}]")
    return "\n".join(sentences), len(synthesis.statements) - len(sentences)


def number_claims(claims: Sequence[CitedClaim]) -> str:
    """Write the claims as the synthesis reads them."""
    lines: list[str] = []
    for claim in claims:
        titles = "; ".join(dict.fromkeys(quote.title for quote in claim.quotes))
        against = ", ".join(map(str, claim.contradicts))
        lines.append(f"{claim.number}. {claim.text} ({titles})")
        lines += [f"   contradicts {against}"] if against else []
    return "\n".join(lines)


def _drop_repeats(quotes: Sequence[Quote]) -> list[Quote]:
    return list({(quote.url, quote.text): quote for quote in quotes}.values())
