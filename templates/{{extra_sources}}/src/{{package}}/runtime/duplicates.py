"""Which short texts say the same, and which say the opposite: words only, no model.

Made for claims of a sentence. A wrong merge loses a claim and a missed one only repeats it, so
every word that carries meaning has to be matched: names and numbers with their units, negations,
hedges, quantities, tenses, and who acts on what. What may differ is spelling, the voice of the
verb, and where a phrase stands. Meaning is out of reach: paraphrases are different claims.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from .meanings import SYNONYMS
from .spellings import split_words
from .wording import NOT, Wording, is_number
from .wording import read as read_wording

LEAST_SAME = 0.8
"""The share of content words that two contradicting texts have in common."""
_ORDERED = split_words("first respectively then former latter")
MOST_TYPOS = 2
MOST_STARTS = 12
"""Phrases that are tried elsewhere in a sentence; one of more has to have their order."""

SMALL = re.compile(
    "a|an|the|this|that|these|those|of|to|in|on|at|by|for|from|with|as|is|are|was|were|be|been"
    "|being|it|its|their|his|her|our|your|my|and|or|but|so|also|than|then|there|here|has|have|had"
    "|do|does|did|will|would|can|could|may|might|shall|should|must|i|we|you|he|she|they|who|which"
    "|what|please|just|very"
)
# Pairs of words that a typing error does not explain.
_CONFUSED = split_words(
    "contact/contract mediation/medication mediation/meditation fiction/friction"
    " undeserv/underserv county/country statu/statut though/through through/thorough"
    " desert/dessert avers/advers carton/cartoon bother/brother infection/inflection"
    " martial/marital stating/starting staring/starring"
)


@dataclass(frozen=True)
class ComparedText:
    """The parts of a text that are compared."""

    wording: Wording

    @cached_property
    def counted(self) -> Counter[str]:
        """How often each word occurs."""
        return Counter(self.wording.words)

    @cached_property
    def content(self) -> tuple[str, ...]:
        """The words that carry meaning, without numbers and negations."""
        return tuple(
            word
            for word in self.wording.words
            if not (is_number(word) or word in NOT or word == "-ed" or SMALL.fullmatch(word))
        )

    @cached_property
    def numbers(self) -> Counter[str]:
        """How often each number occurs."""
        return Counter(filter(is_number, self.wording.words))

    @cached_property
    def negated(self) -> bool:
        """Whether the text denies what it would say without its negations."""
        return sum(word in NOT for word in self.wording.words) % 2 == 1


def read(text: str) -> ComparedText:
    """Return the parts of a text that are compared."""
    said = read_wording(text)
    words = (SYNONYMS.get(word, word) for word in said.words)
    return ComparedText(replace(said, words=tuple(words)))


def say_the_same(one: ComparedText, other: ComparedText) -> bool:
    """Whether two texts say the same."""
    theirs = _correct_typos(one, other)
    if theirs is None:
        return False
    ours, theirs = _sort_list(one.wording.words, one), _sort_list(theirs, other)
    return (
        ours == theirs
        or any(ours == moved for moved in _move_phrases(theirs, other.wording))
        or any(theirs == moved for moved in _move_phrases(ours, one.wording))
    )


def contradict(one: ComparedText, other: ComparedText) -> bool:
    """Whether two texts are about the same and differ in a number or in a negation."""
    short, long = sorted((one.content, other.content), key=len)
    if len(short) < 2 or (one.numbers, one.negated) == (other.numbers, other.negated):
        return False
    # A number that only one text has is more detail, not another figure.
    if one.negated == other.negated and not (one.numbers and other.numbers):
        return False
    return (Counter(short) & Counter(long)).total() >= LEAST_SAME * len(long)


def group_duplicates(texts: Sequence[str]) -> list[list[int]]:
    """Return groups of indexes of texts that say the same, all in first-seen order.

    A text joins a group only if it says the same as all of it, so that small differences do not
    add up along a chain.
    """
    compared = [read(text) for text in texts]
    found: list[list[int]] = []
    for at, said in enumerate(compared):
        home = next(
            (g for g in found if all(say_the_same(said, compared[other]) for other in g)), None
        )
        if home is None:
            found.append([at])
        else:
            home.append(at)
    return found


def find_contradictions(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of indexes, the smaller first, of texts that contradict each other."""
    compared = [read(text) for text in texts]
    return [
        (at, other)
        for at in range(len(compared))
        for other in range(at + 1, len(compared))
        if contradict(compared[at], compared[other])
    ]


def _correct_typos(one: ComparedText, other: ComparedText) -> tuple[str, ...] | None:
    """Correct the other's typing errors after the one's words; None if a word differs."""
    mine, yours = one.counted - other.counted, other.counted - one.counted
    if mine.total() != yours.total() or mine.total() > MOST_TYPOS:
        return None
    right: dict[str, str] = {}
    for word in yours:
        meant = next((own for own in mine if _misspelt(word, own, one, other)), None)
        if meant is None or mine[meant] != yours[word]:
            return None
        right[word] = meant
    if len(set(right.values())) < len(mine):
        return None
    return tuple(right.get(word, word) for word in other.wording.words)


def _misspelt(word: str, meant: str, one: ComparedText, other: ComparedText) -> bool:
    """Whether a letter is missing, added or beside its place; names are never misspelt."""
    if word in other.wording.names or meant in one.wording.names:
        return False
    short, long = sorted((word, meant), key=len)
    if len(short) < 5 or short[:1] != long[:1] or f"{short}/{long}" in _CONFUSED:
        return False
    if len(short) == len(long):
        if len(short) < 7:
            return False  # "trial" and "trail" are two words
        at = next(n for n, (a, b) in enumerate(zip(short, long, strict=True)) if a != b)
        return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
    return any(long[:at] + long[at + 1 :] == short for at in range(1, len(long) - 1))


def _move_phrases(words: tuple[str, ...], wording: Wording) -> Iterator[tuple[str, ...]]:
    """Yield the same words with a phrase elsewhere, or with the sides of "is" exchanged."""
    if wording.defined and words.count("is") == 1:
        at = words.index("is")
        past = words[at + 1 : at + 2] == ("-ed",)
        yield (*words[at + 1 + past :], *words[at : at + 1 + past], *words[:at])
    places = sorted({0, len(words), *wording.starts})
    if len(places) <= MOST_STARTS:
        for a, b, c in combinations(places, 3):
            yield (*words[:a], *words[b:c], *words[a:b], *words[c:])


def _sort_list(words: tuple[str, ...], said: ComparedText) -> tuple[str, ...]:
    """Sort the words of "a and b", or the names of "A, B and C", by the alphabet."""
    if words.count("and") != 1 or _ORDERED & {*words}:
        return words
    at = words.index("and")
    first, last = at - 1, at + 2
    listed = words[first:at] + words[at + 1 : last]
    if len(listed) != 2 or any(is_number(one) or one == "-ed" or one in NOT for one in listed):
        return words
    while first and {*words[first - 1 : at], *words[at + 1 : last]} <= said.wording.names:
        first -= 1
    listed = sorted((*words[first:at], *words[at + 1 : last]))
    return (*words[:first], *listed[:-1], "and", listed[-1], *words[last:])
