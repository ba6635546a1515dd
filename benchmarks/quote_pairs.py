"""Labelled quotes for the grounding check, out of evidence that people marked in real meetings.

A `true` quote is copied with the changes a model makes when it copies; an `altered` one has
another word, number or order, or comes from another meeting. Seeded.
"""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.duplicate_pairs import DATA, SENTENCE, negated, other_number, other_word

LEAST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote, whether it stands in the source, and the change that made it."""

    text: str
    true: bool
    by: str


def meetings() -> list[dict[str, Any]]:
    """Yield the rows of the meeting data."""
    with gzip.open(DATA / "qmsum.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def transcript(row: dict[str, Any]) -> str:
    """Return a meeting as text, one speaker's turn a paragraph."""
    return "\n\n".join(f"{turn['speaker']}: {turn['content']}" for turn in row["transcript"])


def evidence(row: dict[str, Any]) -> list[str]:
    """Return the sentences of the turns that answer the meeting's questions, each once."""
    found: dict[str, None] = {}
    for query in row["queries"]:
        for first, last in query["relevant_text_span"]:
            for turn in row["transcript"][int(first) : int(last) + 1]:
                found |= dict.fromkeys(SENTENCE.split(turn["content"].strip()))
    return [text for text in found if len(text.split()) >= LEAST_WORDS]


def quotes(rows: list[dict[str, Any]], most: int, seed: int = 1) -> Iterator[tuple[str, Quote]]:
    """(source, quote) pairs: every change that fits each of `most` sentences per meeting."""
    dice = random.Random(seed)
    for at, row in enumerate(rows):
        source, found = transcript(row), evidence(row)
        other = evidence(rows[at - 1])
        vocabulary = sorted(set(re.findall(r"\b[a-z]{5,}\b", source)))
        for text in dice.sample(found, min(most, len(found))):
            for true, changes in ((True, COPIED), (False, ALTERED)):
                for change in changes:
                    changed = change(text, dice, vocabulary)
                    if changed and (true or changed != text):
                        yield source, Quote(changed, true, change.__name__)
            if other and (foreign := dice.choice(other)) not in source:
                yield source, Quote(foreign, False, "from another meeting")


def copied(text: str, _d: random.Random, _v: list[str]) -> str:
    return text


def typographic(text: str, _d: random.Random, _v: list[str]) -> str:
    """As a word processor would set it."""
    curly = re.sub(r"(?<!\w)\"", "\u201c", text).replace('"', "\u201d").replace("'", "\u2019")
    return (
        curly.replace("--", "\u2014").replace(" - ", "\u2009\u2013\u2009").replace("...", "\u2026")
    )


def plain(text: str, _d: random.Random, _v: list[str]) -> str:
    """As a keyboard would type it."""
    typed = text.translate(str.maketrans("\u2018\u2019\u201c\u201d", "''\"\""))
    return typed.replace("\u2014", " -- ").replace("\u2013", "-").replace("\u2026", "...")


def tidied(text: str, _d: random.Random, _v: list[str]) -> str:
    """Without the blanks that transcripts have before marks and endings."""
    return re.sub(r"\s+(?=[.,;:?!]|'\w|n't)", "", text)


def wrapped(text: str, dice: random.Random, _v: list[str]) -> str:
    return re.sub(r" ", lambda _: dice.choice([" ", " ", "\n", "  ", "\u00a0"]), text)


def capitalised(text: str, _d: random.Random, _v: list[str]) -> str:
    return text[0].swapcase() + text[1:].rstrip(".!? ") + "..."


def emphasised(text: str, dice: random.Random, _v: list[str]) -> str:
    words = text.split(" ")
    at = dice.randrange(len(words))
    return " ".join([*words[:at], f"**{words[at]}**", *words[at + 1 :]])


def cropped(text: str, dice: random.Random, _v: list[str]) -> str:
    words = text.split()
    at = dice.randrange(len(words) - LEAST_WORDS + 1)
    return " ".join(words[at : at + max(LEAST_WORDS, len(words) // 2)])


def word_left_out(text: str, dice: random.Random, _v: list[str]) -> str | None:
    words = text.split()
    spoken = [n for n, word in enumerate(words) if re.search(r"\w", word)]
    inner = [
        at
        for before, at, after in zip(spoken, spoken[1:], spoken[2:], strict=False)
        if len({words[n].lower() for n in (before, at, after)}) == 3
    ]
    at = dice.choice(inner) if inner else 0
    return " ".join([*words[:at], *words[at + 1 :]]) if at else None


def words_swapped(text: str, dice: random.Random, _v: list[str]) -> str | None:
    words = text.split()
    places = [n for n in range(len(words) - 1) if words[n].isalpha() and words[n + 1].isalpha()]
    places = [n for n in places if words[n].lower() != words[n + 1].lower()]
    if not places:
        return None
    at = dice.choice(places)
    words[at : at + 2] = words[at + 1], words[at]
    return " ".join(words)


def abridged(text: str, dice: random.Random, _v: list[str]) -> str | None:
    """Its middle replaced by dots: a quote that can be made to say anything."""
    words = text.split()
    if len(words) < 8:
        return None
    at = dice.randrange(3, len(words) - 4)
    return " ".join([*words[:at], "...", *words[at + 2 :]])


Change = Callable[[str, random.Random, list[str]], str | None]
COPIED: tuple[Change, ...] = (
    *(copied, typographic, plain, tidied, wrapped, capitalised, emphasised, cropped),
)
ALTERED: tuple[Change, ...] = (
    *(other_number, negated, other_word, word_left_out, words_swapped, abridged),
)
