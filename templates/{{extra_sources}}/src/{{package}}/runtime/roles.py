"""How other words of a passage change the claim's: who it is said of, and whether as a fact."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import ge, gt, le, lt

from .meanings import (
    ADVERBS,
    AMOUNTS,
    BESIDE,
    HEDGES,
    KINDS,
    LEADING,
    LIGHT,
    OPPOSITE_ROLES,
    OTHER,
    SMALL,
    UNITS,
)
from .wording import NOT, TIME, Wording, is_number

_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "atleast": ge,
    "morethan": gt,
    "atmost": le,
    "lessthan": lt,
}
_INEXACT = {*_BOUNDS, "approximately", "nearly", "almost", "to", "-", "minus"}
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")


def is_content(word: str) -> bool:
    """Whether a word is of content, and neither a number nor of a class of its own."""
    return not (word in SMALL or word == "-ed" or word in NOT or is_number(word) or word in HEDGES)


def is_said_otherwise(said: Wording, parts: Sequence[Wording], found: Mapping[str, str]) -> bool:
    """Whether a passage has the claim's words, but says something else with them."""
    return (
        _is_directed_otherwise(said, parts, found)
        or any(_is_of_another(said, part, found) for part in parts)
        or _is_beside(said, parts, found)
        or any(_is_narrower(said, part, found) for part in parts)
        or any(_is_only_intended(said, part, found) for part in parts)
        or any(_is_not_stated(said, part, found) for part in parts)
    )


def apply_bound(said: Wording, whole: Wording) -> Wording:
    """Put the passage's "40" into the claim in place of "at least 30" of the same thing."""
    for at, word in enumerate(said.words[:-2]):
        holds, (number, unit) = _BOUNDS.get(word), said.words[at + 1 : at + 3]
        for place, other in enumerate(whole.words[:-1]):
            is_plain = not place or whole.words[place - 1] not in _INEXACT
            are_amounts = all(map(_AMOUNT.fullmatch, (number, other)))
            alike = is_plain and are_amounts and whole.words[place + 1] == unit
            if holds and alike and holds(float(other), float(number)):
                return replace(said, words=(*said.words[:at], other, *said.words[at + 2 :]))
    return said


def is_replaced(word: str, said: Wording, whole: Wording, found: Mapping[str, str]) -> bool:
    """Whether a passage has another word in the place of one that it lacks."""
    at = said.words.index(word)
    before = next((found[one] for one in reversed(said.words[:at]) if one in found), "")
    after = next((found[one] for one in said.words[at:] if one in found), "")
    if not before or not after or before not in whole.words:
        return False
    rest = whole.words[whole.words.index(before) + 1 :]
    between = rest[: rest.index(after)] if after in rest else ()
    known = {*found.values(), *LIGHT, *said.words}
    return any(one not in known and len(one) > 3 for one in between)


def _is_directed_otherwise(
    said: Wording, parts: Sequence[Wording], found: Mapping[str, str]
) -> bool:
    """Whether a role is turned round: "exports from China" are not those "to China"."""
    pairs = [pair for part in parts for pair in zip(part.words, part.words[1:], strict=False)]
    for role, word in zip(said.words, said.words[1:], strict=False):
        theirs = {before for before, one in pairs if one == found.get(word, word)}
        if OPPOSITE_ROLES.get(role, frozenset()) & theirs and role not in theirs:
            return True
    return False


def _is_of_another(said: Wording, part: Wording, found: Mapping[str, str]) -> bool:
    """Whether it is of "the opponents of the plan" or "the hotel next door" that a part speaks."""
    known = {*found.values(), *said.words}
    for at, word in enumerate(said.words):
        near = found.get(word)
        if near not in part.words or (at and said.words[at - 1] not in found):
            continue
        place = part.words.index(near)
        before = part.words[max(0, place - 2) : place]
        if before[-1:] and before[-1] in OTHER - known:
            return True
        is_owned = len(before) == 2 and before[1] in ("of", "for") and before[1] not in said.words
        if (
            is_owned
            and is_content(before[0])
            and before[0] not in known | (KINDS if before[1] == "of" else set())
        ):
            return True
    return False


def _is_beside(said: Wording, parts: Sequence[Wording], found: Mapping[str, str]) -> bool:
    """Whether wherever the claim's subject stands, it is part of another: "cost growth"."""
    named = (word for word in said.words if is_content(word) and word not in AMOUNTS)
    subject = next(named, "")
    named = [part for part in parts if found.get(subject) in part.words]
    return bool(named) and all(_is_more_than(subject, said, part, found) for part in named)


def _is_more_than(subject: str, said: Wording, part: Wording, found: Mapping[str, str]) -> bool:
    known = {*found.values(), *said.words}
    place = part.words.index(found[subject])
    rest = part.words[place + 1 :]
    between = rest[: next((at for at, word in enumerate(rest) if word in found.values()), 0)]
    more = [word for word in between if is_content(word) and word not in known]
    if BESIDE & {*between} - known:
        return True
    if more and between[:1] == (more[0],) and said.words[1:2] and len(between) == 1:
        return not more[0].endswith("ly") and more[0] not in ADVERBS  # "cost growth fell"
    # "Half of the seats in the last row" are not "half of the seats".
    counted = (AMOUNTS | NOT) & {*said.words[: said.words.index(subject)]}
    return bool(counted and more and {"in", "at", "on", "with", "from"} & {*between})


def _is_narrower(said: Wording, part: Wording, found: Mapping[str, str]) -> bool:
    """Whether a negation has a narrower object: "no short debt" is not "no debt"."""
    known = {*found.values(), *said.words}
    for before, word in zip(said.words, said.words[1:], strict=False):
        near = found.get(word)
        if before not in NOT or near not in part.words or before not in part.words:
            continue
        between = part.words[part.words.index(before) + 1 : part.words.index(near)]
        if between and all(is_content(one) and one not in known for one in between):
            return True
    return False


def _is_only_intended(said: Wording, part: Wording, found: Mapping[str, str]) -> bool:
    """Whether a part only intends an act: "was asked to take it" is not "took it"."""
    for at, word in enumerate(said.words[:-1]):
        near = found.get(word)
        if said.words[at + 1] != "-ed" or said.words[at - 1 : at] == ("to",) or not near:
            continue
        places = [n for n, one in enumerate(part.words) if one == near and n > 1]
        leading = [part.words[n - 2 - (part.words[n - 2] == "-ed")] for n in places]
        if places and all(
            part.words[n - 1] == "to" and lead not in LEADING
            for n, lead in zip(places, leading, strict=True)
        ):
            return True
    return False


def _is_not_stated(said: Wording, part: Wording, found: Mapping[str, str]) -> bool:
    """Whether "A is B" has only a part that has another verb between A and B."""
    at = said.words.index("is") if said.words.count("is") == 1 else 0
    after = said.words[at + 1 :]
    after = after[1:] if after[:1] == ("-ed",) else after
    if not at or not after or after[1:2] == ("-ed",) or not is_content(after[0]):
        return False
    subject, other = found.get(said.words[at - 1]), found.get(after[0])
    if subject not in part.words or other not in part.words:
        return False
    start, end = part.words.index(subject), part.words.index(other)
    between = part.words[start + 1 : end]
    return "-ed" in between and "is" not in between and "becom" not in between


def is_foreign(parts: Sequence[Wording], said: Wording, found: dict[str, str]) -> bool:
    """Whether a part gives something of the claim, but says it of another subject."""
    theirs = {*found.values()}
    wanted = theirs | {word for word in said.words if is_number(word)}
    subject = next((found[word] for word in said.words if word in found), "")
    of_subject = {word for part in parts if subject in part.words for word in part.words}
    for part in parts if of_subject else ():
        content = [word for word in part.words if is_content(word) and not TIME.fullmatch(word)]
        gives = wanted & {*part.words} - of_subject
        # Another subject, or the claim's object as one: "it covers dinner; lunch costs extra".
        if (
            gives
            and content
            and (
                content[0] not in wanted
                or (part.words[0] in gives and not {*content[1:2]} <= wanted | UNITS)
            )
        ):
            return True
    return _is_mixed([part for part in parts if wanted & {*part.words}], wanted, subject)


def _is_mixed(parts: Sequence[Wording], wanted: set[str], subject: str) -> bool:
    """Whether a number of one part is said of what another part has another number for."""
    numbers = {word for word in wanted if is_number(word) and not TIME.fullmatch(word)}
    for part in parts:
        content = [word for word in part.words if is_content(word)]
        if not content or not any(is_number(word) for word in wanted & {*part.words}):
            continue
        times = {word for word in part.words if TIME.fullmatch(word)} - wanted
        for other in parts:
            gives = wanted & {*other.words} - {*part.words, subject}
            own = [word for word in other.words if is_number(word) and word not in wanted]
            # "500 men and 90 women": all of the part is in the claim, and the verb is the other's.
            own = [] if {*content} <= wanted and numbers <= {*part.words} else own
            if own and any(not is_number(word) for word in gives):
                return True
            if times and any(TIME.fullmatch(word) for word in gives):
                return True
    return False
