"""Which short texts say the same, and which say the opposite: words only, no model.

Made for claims of a sentence. A wrong merge loses a claim and a missed one only repeats it, so
every content word has to be matched, all numbers have to be equal, and so has the negation.
Meaning is out of reach: "rose" and "fell" are simply different claims, and so are paraphrases.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

MOST_EXTRA = 0.25
"""The share of content words that only the longer one of two duplicates may have."""
LEAST_ORDER = 0.5
"""The share of words that two duplicates have in the same order: who did what to whom."""
LEAST_SAME = 0.8
"""The share of content words that two contradicting texts have in common."""

_WORD = re.compile(r"\d[\d.,:]*|[^\W\d_]+(?:'[^\W\d_]+)?")
_COUNTED = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED.split("|"))}
_NOT = re.compile(r"no|not|never|none|neither|nor|without|cannot|\w+n't")
SMALL = re.compile(
    "a|an|the|this|that|these|those|of|to|in|on|at|by|for|from|with|as|is|are|was|were|be|been"
    "|being|it|its|their|his|her|our|your|my|and|or|but|so|also|than|then|there|here|has|have|had"
    "|do|does|did|will|would|can|could|may|might|shall|should|must|i|we|you|he|she|they|who|which"
    "|what|please|just|very"
)


@dataclass(frozen=True, slots=True)
class Said:
    """What of a text is compared: its content words in order, its numbers, and its negation."""

    words: tuple[str, ...]
    numbers: frozenset[tuple[str, int]]
    negated: bool


def read(text: str) -> Said:
    """The parts of a text; equal parts mean that only small words, case or marks differ."""
    words: list[str] = []
    numbers: list[str] = []
    negations = 0
    for word in _WORD.findall(text.casefold().replace("\u2019", "'")):
        if _NOT.fullmatch(word):
            negations += 1
        elif number := _number(word):
            numbers.append(number)
        elif not SMALL.fullmatch(word):
            words.append(_stem(word))
    return Said(tuple(words), frozenset(Counter(numbers).items()), negations % 2 == 1)


def same(one: Said, other: Said) -> bool:
    """Whether two texts say the same."""
    if (one.numbers, one.negated) != (other.numbers, other.negated):
        return False
    short, long = sorted((one.words, other.words), key=len)
    if not short:
        return not long
    matched = _matched(short, long)
    extra = len(long) - len(short)
    return (
        len(matched) == len(short)
        and extra <= MOST_EXTRA * len(long)
        and _in_order(matched) >= LEAST_ORDER
    )


def opposed(one: Said, other: Said) -> bool:
    """Whether two texts are about the same and differ in a number or in a negation."""
    short, long = sorted((one.words, other.words), key=len)
    if len(short) < 2 or (one.numbers, one.negated) == (other.numbers, other.negated):
        return False
    # A number that only one text has is more detail, not another figure.
    if one.negated == other.negated and not (one.numbers and other.numbers):
        return False
    return len(_matched(short, long)) >= LEAST_SAME * len(long)


def groups(texts: Sequence[str]) -> list[list[int]]:
    """The indexes of texts that say the same, together; groups and members in first-seen order.

    A text joins a group only if it says the same as all of it, so that small differences do not
    add up along a chain.
    """
    read_ = [read(text) for text in texts]
    found: list[list[int]] = []
    for at, said in enumerate(read_):
        home = next((g for g in found if all(same(said, read_[other]) for other in g)), None)
        if home is None:
            found.append([at])
        else:
            home.append(at)
    return found


def contradictions(texts: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of indexes, the smaller first, of texts that contradict each other."""
    read_ = [read(text) for text in texts]
    return [
        (at, other)
        for at in range(len(read_))
        for other in range(at + 1, len(read_))
        if opposed(read_[at], read_[other])
    ]


def _number(word: str) -> str | None:
    if word in _NUMBERS:
        return _NUMBERS[word]
    if not word[0].isdigit():
        return None
    # "1,000" and "1000" are one number; "1,5" stays another than "15".
    return re.sub(r",(?=\d{3}\b)", "", word.rstrip(".,:"))


def _stem(word: str) -> str:
    for ending in ("'s", "ies", "es", "s", "ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _matched(short: Sequence[str], long: Sequence[str]) -> list[int]:
    """For each word of `short` that `long` has too, typing errors forgiven, its place there."""
    free = list(range(len(long)))
    places: list[int] = []
    for word in short:
        exact = (at for at in free if long[at] == word)
        place = next(exact, None)
        if place is None:
            place = next((at for at in free if _misspelt(word, long[at])), None)
        if place is not None:
            free.remove(place)
            places.append(place)
    return places


def _misspelt(one: str, other: str) -> bool:
    close = min(len(one), len(other)) >= 6 and abs(len(one) - len(other)) <= 1
    return close and one[0] == other[0] and SequenceMatcher(None, one, other).ratio() >= 0.9


def _in_order(places: Sequence[int]) -> float:
    """The share of neighbours that stand in the same order in both texts."""
    if len(places) < 2:
        return 1.0
    rising = sum(b > a for a, b in pairwise(places))
    return rising / (len(places) - 1)
