"""Decide by words alone whether a passage says what a claim says; doubt is a no.

The passage has to have the claim's names, numbers and nearly all of its words, in the same roles,
and must not deny, hedge or limit what the claim asserts. Another word for the same thing is known
in a few cases only.
"""

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

from .meanings import (
    AGAINST,
    ALIKE,
    AMOUNTS,
    EXACT,
    HEDGES,
    LESS,
    LIGHT,
    RECORDS,
    ROLES,
    SAYING,
    STRONG,
    UNITS,
    WEAK,
    is_english,
)
from .roles import apply_bound, is_content, is_foreign, is_replaced, is_said_otherwise
from .spellings import DATE
from .wording import NOT, TIME, Wording, is_number, is_shuffled, read

# A passage with fewer words of the claim only touches its subject.
LEAST_WORDS = 2
# The share of a claim's content words that its passage may lack.
MOST_MISSING = 0.2

_BREAK = re.compile(r"[.;:!?]\s+|,?\s+(?=(?:and|but|while|whereas|although|though)\b)|,\s+(?!\d)")
_DENIED = re.compile(r"\bnot (in|on|at|by|to|from|for|with) [^,;.]{1,40}?,? but (?=\1\b)")
_REFERS = re.compile(
    r"\b(?:it|its|he|she|they|his|her|their|we|our)\b|^\W*(?:the|this|that|these) ([\w-]+)", re.I
)


def supports(claim: str, passage: str, source: str = "") -> bool:
    """Whether a passage says what a claim says; `source` is the text around it."""
    if not is_english(passage):
        return len(passage.split()) >= LEAST_WORDS
    if "?" in passage and "?" not in claim:
        return False
    passage = _DENIED.sub("", passage).replace("anything but ", "not ")
    whole = read(passage)
    said = apply_bound(read(claim), whole)
    parts = [read(part) for part in _BREAK.split(passage) if re.search(r"\w", part)]
    wanted = [word for word in said.words if is_content(word)]
    found = {word: near for word in wanted if (near := _find_near(word, whole.words))}
    context = _find_context(said, passage, source)
    missing = [word for word in wanted if word not in {*found, *LIGHT, *context}]
    numbers = [word for word in said.words if is_number(word)]
    hedged = [word for word in said.words if word in HEDGES and word in whole.words]
    if len(found) + len(numbers) + len(hedged) < LEAST_WORDS:
        return False
    if not _is_covered(said, whole, missing) or any(
        is_replaced(word, said, whole, found) for word in missing
    ):
        return False
    turned = is_shuffled(said, whole) or _is_turned(said, whole, found)
    if turned or not _has_numbers(said, whole, context):
        return False
    about, best = _find_subject_words(said, parts, {*found.values()})
    return (
        _has_same_strength(said, about)
        and _has_same_place(said, best, {*found.values()})
        and not is_foreign(parts, said, found)
        and not is_said_otherwise(said, parts, found)
    )


def _find_near(word: str, words: Sequence[str]) -> str:
    """Return the same word in a passage, or one that stands for it."""
    if word in words:
        return word
    alike = next((group for group in ALIKE if word in group), frozenset[str]())
    for other in words:
        short, long = sorted((word, other), key=len)
        if other in alike or (
            len(short) >= 5 and long.startswith(short) and len(long) <= len(short) + 3
        ):
            return other
    return ""


def _find_context(said: Wording, passage: str, source: str) -> frozenset[str]:
    """Return what the text around adds to a passage that refers to something before it."""
    refers = _REFERS.search(passage)
    if not source or not refers or (refers[1] and {*read(refers[1]).words} & {*said.words}):
        return frozenset()
    return frozenset(read(source).words)


def _is_covered(said: Wording, whole: Wording, missing: Sequence[str]) -> bool:
    if not missing:
        return True
    content = [word for word in said.words if is_content(word)]
    after_role = {b for a, b in zip(said.words, said.words[1:], strict=False) if a in ROLES}
    return (
        len(missing) <= MOST_MISSING * len(content)
        and not {*missing} & {*said.names, content[0], content[-1], *after_role}
        and not any({*missing} & side and {*whole.words} & against for side, against in AGAINST)
    )


def _has_numbers(said: Wording, whole: Wording, context: frozenset[str]) -> bool:
    times = {word for word in whole.words if TIME.fullmatch(word)}
    for at, number in enumerate(said.words):
        if not is_number(number):
            continue
        places = [n for n, word in enumerate(whole.words) if _is_within(number, word)]
        if not places and TIME.fullmatch(number) and not times and number in context:
            continue
        role = {*said.words[at - 1 : at]} & ROLES
        places = [
            n
            for n in places
            if not role or not _find_role(whole, n) or _find_role(whole, n) == role
        ]
        places = [n for n in places if role or _has_range(said, at) or not _has_range(whole, n)]
        units = {*said.words[at + 1 : at + 2]} & UNITS
        theirs = [{*whole.words[n + 1 : n + 2]} & UNITS for n in places]
        if not any(not its or not units or its == units for its in theirs):
            return False
    return True


def _find_role(text: Wording, at: int) -> set[str]:
    return {*text.words[at - 1 : at]} & ROLES


def _has_range(text: Wording, at: int) -> bool:
    """Whether a number is one end of "7 to 9" or "between 7 and 9"."""
    words = text.words
    joints = {"to", "and"} if "between" in words else {"to"}
    return any(
        0 < joint < len(words) - 1
        and words[joint] in joints
        and is_number(words[joint - 1])
        and is_number(words[joint + 1])
        for joint in (at - 1, at + 1)
    )


def _is_within(number: str, other: str) -> bool:
    """Whether a number is another, or a year or month the date of another."""
    if number == other:
        return True
    date = DATE.fullmatch(other)
    return bool(date) and (
        number == date["year"] or (len(number) == 8 and other.startswith(number))
    )


def _is_turned(said: Wording, whole: Wording, found: dict[str, str]) -> bool:
    """Whether the words that both have stand in other roles."""
    theirs = {**found, **{word: word for word in ROLES}}
    theirs = {word: near for word, near in theirs.items() if word not in UNITS}
    ours = [(at, theirs[word]) for at, word in enumerate(said.words) if word in theirs]
    rest = iter(whole.words)
    if all(word in rest for _, word in ours):
        return False
    if any(whole.words.count(word) > 1 for _, word in ours if word not in ROLES | UNITS):
        return True
    words = [word for _, word in ours if whole.words.count(word) == 1]
    order = [word for word in whole.words if word in words]
    words = [word for word in words if words.count(word) == 1 and order.count(word) == 1]
    order = [word for word in order if word in words]
    if words == order:
        return False
    starts = {0, len(words)}
    for text, places in ((said.words, said.starts), (whole.words, whole.starts)):
        for start in places:
            word = next((theirs.get(w, w) for w in text[start:] if theirs.get(w, w) in words), None)
            starts |= {words.index(word)} if word else set()
    if (said.defined or whole.defined) and "is" in said.words and "is" in whole.words:
        starts |= {*range(len(words))}
    return not any(
        [*words[:a], *words[b:c], *words[a:b], *words[c:]] == order
        for a, b, c in combinations(sorted(starts), 3)
    )


def _find_subject_words(
    said: Wording, parts: Sequence[Wording], found: set[str]
) -> tuple[list[str], Wording]:
    """Return the words of a passage that the claim is about, and the part with most of them."""
    numbers = {word for word in said.words if is_number(word)}
    wanted = found | numbers
    ranked = sorted(parts, key=lambda part: -len(wanted & {*part.words}))
    about: list[str] = []
    left = set(wanted)
    for part in ranked:
        needed = left & {*part.words}
        if needed:
            last = max(at for at, word in enumerate(part.words) if word in needed)
            about += part.words[: last + 1]
            if part is ranked[0]:
                about += [word for word in part.words[last + 1 :] if word not in AMOUNTS]
            about += {"if", "unless", "according"} & {*part.words[last + 1 :]}
            left -= needed
        else:
            about += ({"if", "unless"} | WEAK[1] | SAYING) & {*part.words}
    return about, ranked[0]


def _has_same_strength(said: Wording, about: Sequence[str]) -> bool:
    """Whether a passage denies, hedges and limits as its claim does."""
    ours, theirs = {*said.words}, {*about}
    if bool(ours & NOT) != bool(theirs & NOT):
        return False
    if "than" in ours and ("than" not in theirs or ours & LESS != theirs & LESS):
        return False
    if "and" in ours and "or" in theirs and "or" not in ours:
        return False
    maybe = bool(ours & WEAK[0])
    weak = [group for group in WEAK if theirs & group and not ours & group]
    weak = [group for group in weak if group is not SAYING or not theirs & RECORDS]
    if any(not (maybe and group is WEAK[3]) for group in weak):
        return False
    if any(ours & group and not theirs & group for group in STRONG):
        return False
    if any(ours & group and theirs & group and ours & group != theirs & group for group in EXACT):
        return False
    if any(
        ours & side and theirs & against and not (ours & against or theirs & side)
        for side, against in AGAINST
    ):
        return False
    return "-ed" in ours or not any(
        after == "-ed" and word in ours for word, after in pairwise(about)
    )


def _has_same_place(said: Wording, best: Wording, found: set[str]) -> bool:
    """Whether the part of a passage with most of a claim is about the same subject and time."""
    ours, theirs = {*said.words} | found, {*best.words}
    times = {word for word in ours if TIME.fullmatch(word)}
    others = {word for word in theirs if TIME.fullmatch(word)}
    if times and others and not any(_is_within(a, b) for a in times for b in others):
        return False
    return not (best.names - ours and (said.names & found) - theirs)
