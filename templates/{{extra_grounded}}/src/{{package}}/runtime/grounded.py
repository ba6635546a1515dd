"""The check `grounded`: the quotes and numbers of an answer have to be in its source.

Other comparisons read texts in its way: `parse_typed`, `plain`, `WORD` and `NUMBER`.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from .run import AskedCall, Check, CheckResult, MakeCheck
from .subagent import text_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

SHARE = re.compile(r"0|1|0?\.\d+|1\.0+|")
# Typographic signs as a keyboard has them, and no characters that nobody sees.
_KEYBOARD = str.maketrans(
    "\u201c\u201d\u201e\xab\xbb\u2019\u2010\u2013\u2212",
    '"""""\'---',
    "\xad\u200b\u200c\u200d\u2060\ufeff",
)
_QUOTED = re.compile(r'(?<!\w)"([^"]+)"')
# What counts of a passage: words, numbers, and signs such as those of "-5 %" and "$1,200.50".
WORD = re.compile(
    r"[^\W_]+(?:(?<=\d)[.,](?=\d)[^\W_]+)*|(?<![\w)])-(?=\d)"
    r"|[$%+<>=/&@#^~|\xa2-\xa7\xb0\xb1\xd7\xf7\u2030\u20a0-\u22ff]"
)
# 1,200.50, 1 200, 12,5, -3, 1.2 million; "1,2,3" is three of them.
NUMBER = re.compile(
    r"""(?=[-\d])(?P<sign>(?:(?<![\w)])-)?)(?P<digits>(?<!\d[.,])(?:
        \d{1,3}(?P<mark>[.,'\ ])\d{3}(?:(?P=mark)\d{3})*(?:(?!(?P=mark))[.,]\d+)?|\d+[.,]\d+
    )(?![.,]?\d)|\d+)(?:\s*(?P<scale>thousand|million|billion|trillion|bn|k|m)\b)?""",
    re.VERBOSE,
)
_SCALE = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9, "trillion": 12}
_SPELT = {
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15},
    **{"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30},
    **{"forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
    **{"hundred": 100},
}
# The month of a date, which may be a word elsewhere; between slashes, whatever may be one.
_MONTH = re.compile(
    r"(?<=\b\d{4}-)\d\d(?=-\d\d(?!\d))|(?<=\d\.)\d\d?(?=\.\d{4}(?!\d))"
    r"|\b(?:0?\d|1[0-2])(?=/\d\d?/\d{4})|(?<=\d/)(?:0?\d|1[0-2])(?=/\d{4})"
)


def make_grounded_check(argument: str) -> Check:
    """Make `grounded` or `grounded:0.9`: the share of quotes and numbers that the source has."""
    if not SHARE.fullmatch(argument):
        raise ValueError("grounded takes a number from 0 to 1, such as grounded:0.9")

    def check(completion: "ModelResponse", call: AskedCall) -> CheckResult:
        absent, of = missing(text_of(completion), call.stage.source or call.question)
        quality = 1 - len(absent) / of if of else 1.0
        return CheckResult(
            "ungrounded" if quality < float(argument or 1) else None, quality, "check"
        )

    return check


CHECKS: Mapping[str, MakeCheck] = {"grounded": make_grounded_check}


def missing(answer: str, source: str) -> tuple[list[str], int]:
    """Return the quotes and numbers of an answer that its source does not have, and of how many.

    A quote is a passage of three words or more in quotation marks, and every `quote` or `quotes`
    of a typed answer. Whole numbers under 10, and scores from 0 to 1 in a typed answer, are taken
    for the model's own.
    """
    text = plain(source)
    words = join_words(text)
    # Numbers in a row may be one or several, as in a table: "120 135 150".
    there = NUMBER.finditer(f"{text}\n{text.replace(' ', '  ')}")
    have = {value for number in there for value in readings(number)}
    have |= {Decimal(value) for word, value in _SPELT.items() if join_words(word) in words}
    quotes, numbers = _claims(parse_typed(answer))
    absent = [
        one for one in quotes if not all(join_words(part) in words for part in one.split("..."))
    ]
    absent += [shown for shown, values in numbers if have.isdisjoint(values)]
    return absent, len(quotes) + len(numbers)


def parse_typed(answer: str) -> dict[str, Any] | list[Any] | str:
    """Return the object or list that a typed answer is, else the text itself."""
    try:
        value: Any = json.loads(answer.strip().removeprefix("```json").removesuffix("```"))
    except (ValueError, RecursionError):
        return answer
    return cast(dict[str, Any], value) if isinstance(value, dict | list) else answer


def plain(text: str) -> str:
    """Return a text without what is only spelling: case, typographic signs, kinds of blanks."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_KEYBOARD)


def join_words(text: str) -> str:
    """Return the words of a plain text, a line each, so that passages are found in their text."""
    return "\n".join(["", *WORD.findall(text), ""])


def readings(number: re.Match[str]) -> list[Decimal]:
    """Return what a NUMBER of a plain text may mean without its sign, the likeliest first.

    "1.234" is 1234 to some, and "5 m" may be metres.
    """
    digits = re.sub("[' ]", "", number["digits"])
    head, mark, tail = digits.rpartition("," if digits.rfind(",") > digits.rfind(".") else ".")
    written = [f"{re.sub('[.,]', '', head)}.{tail}"] if mark and mark not in head else []
    if not written or len(tail) == 3:
        written.insert(0 if mark == "," else 1, re.sub("[.,]", "", digits))
    powers = dict.fromkeys((_SCALE.get(number["scale"], 0), 0))
    # As text, since arithmetic rounds to 28 digits.
    return [Decimal(f"{one}e{power}") for power in powers for one in written]


def _claims(answer: Any) -> tuple[list[str], list[tuple[str, list[Decimal]]]]:
    """Return the quotes of an answer, and the numbers outside them with their readings."""
    quotes: list[str] = []
    numbers: list[tuple[str, list[Decimal]]] = []
    parts: list[tuple[str, Any]] = [("", answer)]
    while parts:
        key, part = parts.pop()
        if isinstance(part, dict):
            parts += reversed(cast(dict[str, Any], part).items())
        elif isinstance(part, list):
            parts += [(key, one) for one in reversed(cast(list[Any], part))]
        elif part is not None and not (isinstance(part, int | float) and 0 <= part <= 1):
            text = plain(str(part))
            said = [quote for quote in _QUOTED.findall(text) if len(quote.split()) >= 3]
            said = [text] if key in ("quote", "quotes") else said
            for quote in said:
                text = text.replace(quote, " ")  # its numbers stand or fall with it
            quotes += said
            found = NUMBER.finditer(_MONTH.sub("", text))
            numbers += [(number[0], readings(number)) for number in found]
    return quotes, [one for one in numbers if any(value not in range(10) for value in one[1])]
