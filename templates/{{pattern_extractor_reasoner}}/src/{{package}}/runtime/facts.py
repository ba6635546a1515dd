"""Extracted facts: quotes are checked, repeats merged, contradictions kept.

Works on any extraction that is a model of lists of facts, each with a `quote`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from .duplicates import find_contradictions, group_duplicates
from .grounding import Passage, Source
from .splitting import Part

Fields = dict[str, Any]


class Quote(BaseModel):
    """A passage of the document: `document[start:end] == text`."""

    text: str
    start: int
    end: int


class Fact(BaseModel):
    """One fact of the document, by all that was said of it; `number` is how answers cite it."""

    number: int
    kind: str
    fields: dict[str, Any]
    quotes: list[Quote]
    contradicts: list[int] = []

    def brief(self) -> Fields:
        """Return what the expensive model reads of the fact."""
        known = {name: value for name, value in self.fields.items() if value is not None}
        quote = {"quote": self.quotes[0].text}
        sides = {"contradicts": self.contradicts} if self.contradicts else {}
        return {"number": self.number, **known, **quote, **sides}


@dataclass(frozen=True, slots=True)
class Mention:
    """A fact as one part of the document gives it, with where its quote is."""

    kind: str
    fields: Fields
    passage: Passage

    @property
    def subject(self) -> str:
        """What the fact is about: its first field."""
        return str(next(iter(self.fields.values()), ""))


@dataclass
class _Side:
    """Mentions that agree in every field."""

    fields: Fields
    mentions: list[Mention] = field(default_factory=list[Mention])


def keep_grounded(extraction: BaseModel, part: Part) -> tuple[list[Mention], int]:
    """Return the facts whose quote is in the part, and how many were dropped."""
    source = Source(part.text)
    kept: list[Mention] = []
    dropped = 0
    for kind, facts in extraction.model_dump().items():
        for fact in facts:
            fields = {name: value for name, value in fact.items() if name != "quote"}
            if passage := source.find(fact["quote"]):
                kept.append(Mention(kind, fields, _move(passage, part.start)))
            else:
                dropped += 1
    return kept, dropped


def merge_mentions(mentions: Sequence[Mention]) -> list[Fact]:
    """Return each fact once, kind by kind; contradicting facts name each other."""
    facts: list[Fact] = []
    for kind in dict.fromkeys(mention.kind for mention in mentions):
        facts += _merge_kind([m for m in mentions if m.kind == kind], len(facts) + 1)
    return facts


def group_by_kind(facts: Iterable[Fact]) -> dict[str, list[Fields]]:
    """Return the facts as the JSON that the expensive model gets."""
    found: dict[str, list[Fields]] = {}
    for fact in facts:
        found.setdefault(fact.kind, []).append(fact.brief())
    return found


def _merge_kind(mentions: Sequence[Mention], first: int) -> list[Fact]:
    sides: list[_Side] = []
    opposed: set[tuple[int, int]] = set()
    for group in _group_mentions(mentions):
        new = _find_sides(group)
        places = range(len(sides), len(sides) + len(new))
        opposed |= {(a, b) for a in places for b in places if a < b}
        sides += new
    opposed |= set(find_contradictions([side.mentions[0].subject for side in sides]))
    return [
        _make_fact(side, first + at, _find_others(at, opposed, first))
        for at, side in enumerate(sides)
    ]


def _group_mentions(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """Group mentions of one subject; equal wordings are grouped first, for speed."""
    same: dict[str, list[int]] = {}
    for at, mention in enumerate(mentions):
        same.setdefault(" ".join(mention.subject.casefold().split()), []).append(at)
    places = list(same.values())
    found = (
        sorted(at for one in group for at in places[one]) for group in group_duplicates(list(same))
    )
    return [[mentions[at] for at in group] for group in found]


def _find_sides(mentions: Sequence[Mention]) -> list[_Side]:
    sides: list[_Side] = []
    for mention in mentions:
        details = dict(list(mention.fields.items())[1:])
        for side in sides:
            if all(_agree(value, side.fields[name]) for name, value in details.items()):
                side.fields |= {n: _choose_fuller(v, side.fields[n]) for n, v in details.items()}
                side.mentions.append(mention)
                break
        else:
            sides.append(_Side(dict(mention.fields), [mention]))
    return sides


def _agree(one: Any, other: Any) -> bool:
    """Whether two details can both be true: one is missing, or says part of the other."""
    if one is None or other is None:
        return True
    a, b = (set(str(value).casefold().split()) for value in (one, other))
    return a <= b or b <= a


def _choose_fuller(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return max(other, one, key=lambda value: len(str(value)))


def _make_fact(side: _Side, number: int, contradicts: list[int]) -> Fact:
    passages = {(m.passage.start, m.passage.end): m.passage for m in side.mentions}
    return Fact(
        number=number,
        kind=side.mentions[0].kind,
        fields=side.fields,
        quotes=[Quote(text=p.text, start=p.start, end=p.end) for _, p in sorted(passages.items())],
        contradicts=contradicts,
    )


def _find_others(at: int, pairs: Iterable[tuple[int, int]], first: int) -> list[int]:
    return sorted(first + a + b - at for a, b in pairs if at in (a, b))


def _move(passage: Passage, by: int) -> Passage:
    return Passage(passage.start + by, passage.end + by, passage.text)
