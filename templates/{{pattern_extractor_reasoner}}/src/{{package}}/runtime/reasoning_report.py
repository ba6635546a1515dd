"""The typed result of extracting facts from a long document and reasoning over them."""

from pydantic import BaseModel

from .facts import Fact

CHARS_PER_TOKEN = 4
"""How tokens are estimated here: characters / 4, the usual rule of thumb for English."""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    return len(text) // CHARS_PER_TOKEN


class Reasoned(BaseModel):
    """The answer, the facts it cites and all others, and what was lost or odd on the way.

    `ungrounded` facts had a quote that is not in the document and were dropped; `merged` ones
    were said before. Tokens are estimates: characters / 4.
    """

    question: str
    answer: str
    cited: list[Fact]
    facts: list[Fact]
    ungrounded: int
    merged: int
    parts: int
    failed_parts: list[str]
    unknown_citations: list[int]
    suspicious: list[str]
    document_tokens: int
    fact_tokens: int
    spared_tokens: int

    def __str__(self) -> str:
        quotes = [f'[{fact.number}] "{fact.quotes[0].text}"' for fact in self.cited]
        return "\n".join(
            [self.answer, "", *quotes, *([""] if quotes else []), *self._list_figures()]
        )

    def _list_figures(self) -> list[str]:
        figures = [
            f"{len(self.facts)} facts from {self.parts} parts; {self.merged} said twice; "
            f"{self.ungrounded} dropped: their quote is not in the document.",
            f"The expensive model read about {self.fact_tokens:,} tokens of facts instead of "
            f"{self.document_tokens:,} (characters / {CHARS_PER_TOKEN}).",
        ]
        figures += [f"Not read: {reason}" for reason in self.failed_parts]
        return figures + [f"Reads like an order to a model: {text!r}" for text in self.suspicious]
