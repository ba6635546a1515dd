"""The words of a sentence without differences of spelling, for comparisons of claims.

English is read closely (tenses, passives, dates, units); of other languages only the words are.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from . import spellings
from .spellings import DATE, split_words

NOT = split_words("not no never none neither nor without nobody nothing nowhere")

_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_COUNTED.split())},
    **{word: f"{number}0" for number, word in enumerate(_TENS.split(), 3)},
}
_WORD = re.compile(r"-?\d[\d.:/-]*\d|-?\d|[^\W\d_][\w']*|,")
TIME = re.compile(r"[12]\d{3}|d(?:\d{4})?m\d\d(?:d\d\d)?|(?:mon|tue|wedne|thur|fri|satur|sun)s?day")
_DROPPED = split_words(
    "a an the this that these those it its their our which who whom also do does please there"
)
# Words that begin a phrase, which may stand elsewhere in the sentence.
_OPENING = split_words(
    "in of to from by for with without at on under over above below between since until after"
    " before during because if when while unless although though than as and or but not about"
    " against through into within per except including according yesterday today tomorrow every"
    " each approximately"
)
_HELPERS = split_words("will would can could may must shall should has not never only")
_NUMBERED = split_words("version releas section chapter articl paragraph rule tabl figur step v")
_PLACES = split_words("river sea lake road coast door window way")
_PAST = dict(
    pair.split("/")
    for pair in split_words(
        "wrote/write written/write bought/buy paid/pay built/build made/make said/say found/find"
        " sold/sell held/hold led/lead left/leave lost/lose won/win met/meet sent/send spent/spend"
        " took/take taken/take gave/give given/give knew/know known/know saw/see seen/see showed/show"
        " shown/show chose/choose chosen/choose drove/drive driven/drive grew/grow grown/grow"
        " began/begin begun/begin broke/break broken/break drew/draw drawn/draw fell/fall fallen/fall"
        " rose/rise risen/rise spoke/speak spoken/speak stole/steal stolen/steal wore/wear worn/wear"
        " did/do done/do went/go gone/go flew/fly flown/fly threw/throw thrown/throw kept/keep"
        " brought/bring taught/teach caught/catch thought/think sought/seek understood/understand"
        " ran/run became/become came/come told/tell lent/lend beaten/beat meant/mean dealt/deal hid/hide hidden/hide"
        " died/die lied/lie tied/tie got/get gotten/get stood/stand shot/shoot fought/fight bound/bind felt/feel"
    )
)
_FORMS: dict[str, list[str]] = {
    **{word: ["is"] for word in ("is", "are", "am", "be")},
    **{word: ["is", "-ed"] for word in ("was", "were")},
    **{word: ["has"] for word in ("has", "have", "having")},
    **{word: [word] for word in ("plane", "humane", "morale", "news")},
    "had": ["has", "-ed"],
    "did": ["-ed"],
}
_ENDING = re.compile(
    r"(?:(?<=..)ie[sd]|(?<=...)(?:(?<=ss|sh|ch)es|(?<=[xz])es|(?<![sui])s|(?<!e)ed))$"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a sentence in order, each in one form, and where its phrases begin.

    A past tense is a word of its own, `-ed`, after its verb. A sentence in the passive voice that
    says who acts reads as the active one. `defined`: "is" stands beside a description with "the".
    """

    words: tuple[str, ...]
    starts: frozenset[int]
    names: frozenset[str]
    defined: bool


def read(text: str) -> Wording:
    """Return the wording of a sentence."""
    capitals = re.findall(r"(?<=[\w,] )[A-Z]\w+", spellings.unify_names(text))
    names = frozenset(_stem(name.casefold())[0] for name in capitals)
    said = spellings.normalize_text(text)
    words, starts = _split_words(said)
    words, starts = _make_active(words, sorted([*starts, *_find_ends_of_places(words, names)]))
    defined = bool(re.search(r"\b(?:is|was) the\b|^the\b", said))
    return Wording(tuple(words), frozenset(starts), names, defined)


def is_number(word: str) -> bool:
    """Whether a word of a wording is a number or a date."""
    return word.lstrip("-")[:1].isdigit() or bool(DATE.fullmatch(word))


def is_shuffled(one: Wording, other: Wording) -> bool:
    """Whether amounts that both texts have stand in another order, and times and words do not.

    "5 in 2019 and 9 in 2020" is not "9 in 2019 and 5 in 2020"; "9 in 2020 and 5 in 2019" is.
    """
    shared = {word for word in one.words if one.words.count(word) == other.words.count(word) == 1}
    order = [[word for word in text.words if word in shared] for text in (one, other)]
    amounts, rest = (
        [[word for word in words if _is_amount(word) is wanted] for words in order]
        for wanted in (True, False)
    )
    return amounts[0] != amounts[1] and rest[0] == rest[1]


def _is_amount(word: str) -> bool:
    return is_number(word) and not TIME.fullmatch(word)


def _split_words(said: str) -> tuple[list[str], list[int]]:
    words: list[str] = []
    starts = [0]
    begins = False
    for word in _WORD.findall(said):
        begins = begins or word in _OPENING or word == ","
        if word == "," or word in _DROPPED:
            continue
        is_time = bool(TIME.fullmatch(word))
        while is_time and words and words[-1] in ("in", "on", "at"):
            words.pop()
            begins = True
        if begins:
            starts.append(len(words))
        number = word if words[-1:] and words[-1] in _NUMBERED else _normalize_number(word)
        number = number if is_number(number) else ""
        words += [number] if number else _stem(word)
        begins = is_time
    return words, starts


def _normalize_number(word: str) -> str:
    if word in _NUMBERS or not is_number(word):
        return _NUMBERS.get(word, "")
    word = word.rstrip(".:/-")
    return word.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", word) else word


def _stem(word: str) -> list[str]:
    """Return a word without its ending, and `-ed` after it if it is in the past tense."""
    if word in _FORMS:
        return _FORMS[word]
    word = spellings.normalize_word(word)
    past = ["-ed"] if word in _PAST else []
    word = _PAST.get(word, word)
    if ending := _ENDING.search(word):
        past = ["-ed"] if ending[0].endswith("ed") else past
        word = word[: ending.start()] + ("y" if ending[0][0] == "i" else "")
    if past and len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]  # "planned" as "plan"
    return [word.removesuffix("e") if len(word) > 3 else word, *past]


def _find_ends_of_places(words: list[str], names: frozenset[str]) -> list[int]:
    """Find where a phrase such as "in Germany" ends."""
    return [
        at + 2
        for at, (one, other) in enumerate(pairwise(words))
        if one in ("in", "at", "from", "to") and other in names
        if not names & {*words[at + 2 : at + 3]}
    ]


def _make_active(words: list[str], starts: list[int]) -> tuple[list[str], list[int]]:
    """Turn a passive sentence into the active one: "B is bought by A" into "A buys B"."""
    for at, word in enumerate(words[:-1]):
        if word != "by" or is_number(words[at + 1]) or words[at + 1] in _PLACES:
            continue
        verb = next((n for n in range(at - 1, 0, -1) if words[n] == "-ed"), 0) - 1
        be = next((n for n in range(verb - 1, 0, -1) if words[n] in ("is", "been", "being")), 0)
        # Only adverbs may stand between "is" and the participle.
        if verb >= 1 and be and verb - be <= 3 and at - verb <= 4:
            return _turn_active(words, starts, (be, verb, at))
    return _move_past_tense(words), starts


def _turn_active(
    words: list[str], starts: list[int], places: tuple[int, int, int]
) -> tuple[list[str], list[int]]:
    be, verb, by = places
    end = next((n for n in starts if n > by), len(words))
    past = ["-ed"] if words[be + 1] == "-ed" or words[be] == "been" else []
    helpers = be
    while helpers > 1 and words[helpers - 1] in _HELPERS:
        helpers -= 1
    between = [one for one in words[be + 1 : verb] if one != "-ed"]
    lead = int(bool(TIME.fullmatch(words[0])))
    new = [*words[by + 1 : end], *words[helpers:be], *between, words[verb], *past]
    new += [*words[lead:helpers], *words[:lead]]
    shift = len(new) - end
    new += [*words[verb + 2 : by], *words[end:]]
    return new, [0, *(at + shift for at in starts if at >= end)]


def _move_past_tense(words: list[str]) -> list[str]:
    """Write "did not buy" as "not bought": the past tense stands after the verb."""
    for at, (one, other) in enumerate(pairwise(words)):
        helped = at and words[at - 1] in ("is", "has")
        if (one, other) == ("-ed", "not") and at + 2 < len(words) and not helped:
            return [*words[:at], "not", words[at + 2], "-ed", *words[at + 3 :]]
    return words
