"""Labelled pairs for the near-duplicate check, built from real sentences by known edits.

`same` pairs differ by an edit that changes no meaning, `opposed` pairs by a number or a negation,
`different` pairs by a content word, by who did what, or because people wrote them on their own:
two utterances of one intent are two utterances. Seeded, so that every run sees the same pairs.
"""

import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARED = [parent / "shared" / "data" / "labelled" for parent in Path(__file__).parents]
DATA = next((folder for folder in _SHARED if folder.is_dir()), _SHARED[0])
"""The evaluation data, which lies beside the project and is not a part of it."""
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SMALL = {"the", "a", "an", "that", "this"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, "same", "opposed" or "different", and the edit or source that made them."""

    one: str
    other: str
    label: str
    by: str


def sentences(text: str) -> list[str]:
    """Plain sentences of 8 to 40 words out of running text or Markdown."""
    plain = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    plain = re.sub(r"^[#|].*$|^[>*\-]|`|\*", " ", plain, flags=re.MULTILINE)
    found = (" ".join(part.split()) for part in SENTENCE.split(" ".join(plain.split())))
    return [one for one in found if 8 <= len(one.split()) <= 40 and one[-1] in ".!?"]


def edited(texts: Iterable[str], seed: int = 1) -> Iterator[Pair]:
    """Every edit that fits each sentence."""
    dice = random.Random(seed)
    known = list(texts)
    vocabulary = sorted({w for text in known for w in re.findall(r"\b[a-z]{5,}\b", text)})
    for text in known:
        for label, edits in (("same", SAME), ("opposed", OPPOSED), ("different", DIFFERENT)):
            for edit in edits:
                changed = edit(text, dice, vocabulary)
                if changed and changed != text:
                    yield Pair(text, changed, label, edit.__name__)


def written_apart(name: str, most_per_label: int = 20, seed: int = 1) -> Iterator[Pair]:
    """Pairs of utterances with one label, none of them equal but for case and marks."""
    dice = random.Random(seed)
    by_label: dict[str, list[str]] = defaultdict(list)
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            by_label[row["label"]].append(row["text"])
    for texts in by_label.values():
        for _ in range(most_per_label):
            one, other = dice.sample(texts, 2) if len(texts) > 1 else ("", "")
            if re.findall(r"\w+", one.lower()) != re.findall(r"\w+", other.lower()):
                yield Pair(one, other, "different", name)


def transcripts(most: int = 2000) -> list[str]:
    """Sentences that people said in real meetings."""
    found: list[str] = []
    with gzip.open(DATA / "qmsum.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            for turn in json.loads(line)["transcript"][:40]:
                found += sentences(turn["content"])
    return random.Random(1).sample(found, min(most, len(found)))


def shouted(text: str, _d: random.Random, _v: list[str]) -> str:
    return text.lower().rstrip(".!?")


def articles(text: str, _d: random.Random, _v: list[str]) -> str:
    return " ".join(word for word in text.split() if word.lower() not in SMALL)


def introduced(text: str, _d: random.Random, _v: list[str]) -> str:
    return f"It is also that {text[0].lower()}{text[1:]}"


def typing_error(text: str, dice: random.Random, _v: list[str]) -> str | None:
    long = re.findall(r"\b[a-z]{8,}\b", text)
    if not long:
        return None
    word = dice.choice(long)
    at = dice.randrange(2, len(word) - 2)
    return text.replace(word, word[:at] + word[at + 1 :], 1)


def clauses_turned(text: str, _d: random.Random, _v: list[str]) -> str | None:
    head, comma, tail = text.rstrip(".!?").partition(", ")
    if not comma or min(len(head.split()), len(tail.split())) < 3:
        return None
    return f"{tail}, {head}."


def plural(text: str, dice: random.Random, _v: list[str]) -> str | None:
    nouns = re.findall(r"\bthe ([a-z]{4,}[^s\W])\b", text)
    if not nouns:
        return None
    noun = dice.choice(nouns)
    return text.replace(f"the {noun}", f"the {noun}s", 1)


def other_number(text: str, dice: random.Random, _v: list[str]) -> str | None:
    numbers = re.findall(r"\b\d+\b", text)
    if not numbers:
        return None
    number = dice.choice(numbers)
    return re.sub(rf"\b{number}\b", str(int(number) + dice.randrange(1, 9)), text, count=1)


def negated(text: str, _d: random.Random, _v: list[str]) -> str | None:
    if re.search(r"\b(not|no|never|none|neither|nor|without|cannot)\b|n't", text.lower()):
        return None
    changed, times = re.subn(r"\b(is|are|was|were|can|will|should)\b", r"\1 not", text, count=1)
    return changed if times else None


def other_word(text: str, dice: random.Random, vocabulary: list[str]) -> str | None:
    words = re.findall(r"\b[a-z]{6,}\b", text)
    if not words:
        return None
    word, new = dice.choice(words), dice.choice(vocabulary)
    return None if word[:4] == new[:4] else re.sub(rf"\b{word}\b", new, text, count=1)


def other_name(text: str, dice: random.Random, _v: list[str]) -> str | None:
    names = re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b", text)
    new = dice.choice(["Lisbon", "Harald", "Nokia", "Toronto"])
    return re.sub(rf"\b{dice.choice(names)}\b", new, text) if names else None


Edit = Callable[[str, random.Random, list[str]], str | None]
SAME: tuple[Edit, ...] = (shouted, articles, introduced, typing_error, clauses_turned, plural)
OPPOSED: tuple[Edit, ...] = (other_number, negated)
DIFFERENT: tuple[Edit, ...] = (other_word, other_name)
