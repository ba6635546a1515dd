"""The check `grounded`: the quotes and numbers of an answer have to be in its source."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from pydantic_ai.messages import ModelResponse

from .attempt import Call, Check, Finding, MakeCheck
from .run import text_of

# Typographic quotation marks, apostrophes and dashes, by their code points.
_DOUBLE = "\u201c\u201d\u201e\u00ab\u00bb\u2033"
_SINGLE = "\u2019\u2018\u201a\u2032"
_SIGNS = str.maketrans({**dict.fromkeys(_DOUBLE, '"'), **dict.fromkeys(_SINGLE, "'")})
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_NUMBER = re.compile(
    r"(\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?:\s?(thousand|million|billion|trillion|bn|k|m)\b)?"
)
_SCALE = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9, "trillion": 12}
_WORDS = {
    word: Decimal(at if at <= 20 else 10 * (at - 18))
    for at, word in enumerate(
        (
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
            *("seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty"),
            *("sixty", "seventy", "eighty", "ninety", "hundred"),
        ),
        start=10,
    )
}
_ISO_DATE = re.compile(r"\b(\d{4})-\d{2}-(\d{2})\b")
_DATE = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")
_QUOTED = re.compile(r'"([^"]+)"')


def grounded(argument: str) -> Check:
    """`grounded` or `grounded:0.9`: the share of quotes and numbers that the source has."""
    try:
        least = float(argument or 1)
    except ValueError:
        least = -1
    if not 0 <= least <= 1:
        raise ValueError("grounded takes a number from 0 to 1, such as grounded:0.9")

    def check(completion: ModelResponse, call: Call) -> Finding:
        source = call.stage.source or call.question
        absent, of = missing(text_of(completion), source)
        quality = 1 - len(absent) / of if of else 1.0
        return Finding("ungrounded" if quality < least else None, quality, "check")

    return check


CHECKS: Mapping[str, MakeCheck] = {"grounded": grounded}


def plain(text: str) -> str:
    """A text without what is only spelling: case, white space, typographic signs."""
    text = _DASHES.sub("-", unicodedata.normalize("NFKC", text).translate(_SIGNS))
    return " ".join(text.casefold().split())


def missing(answer: str, source: str) -> tuple[list[str], int]:
    """The quotes and numbers of an answer that its source does not have, and of how many.

    A quote is a passage of three words or more in quotation marks, and every `quote` or `quotes`
    of a typed answer. Whole numbers under 10, and scores from 0 to 1 in a typed answer, are taken
    for the model's own.
    """
    known, have = plain(source), set(_values(source))
    absent: list[str] = []
    claims = 0
    for key, leaf in _leaves(_typed(answer)):
        quotes, numbers = _claims(key, leaf)
        claims += len(quotes) + len(numbers)
        absent += [quote for quote in quotes if not _occurs(quote, known)]
        absent += [shown for shown, readings in numbers if not readings & have]
    return absent, claims


def _typed(answer: str) -> Any:
    try:
        value: Any = json.loads(answer)
    except ValueError:
        return answer
    return cast(Any, value) if isinstance(value, dict | list) else answer


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in cast(dict[str, Any], value).items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _leaves(inner, key)
    elif value is not None and not isinstance(value, bool):
        yield key, value


def _claims(key: str, leaf: Any) -> tuple[list[str], list[tuple[str, set[Decimal]]]]:
    if isinstance(leaf, int | float):
        own = 0 <= leaf <= 1 or (leaf == int(leaf) and abs(leaf) < 10)
        return [], [] if own else [(str(leaf), {abs(Decimal(str(leaf)))})]
    text = plain(str(leaf))
    quotes = [quote for quote in _QUOTED.findall(text) if len(quote.split()) >= 3]
    if key in ("quote", "quotes"):
        quotes = [text]
    for quote in quotes:
        text = text.replace(quote, " ")  # its numbers stand or fall with it
    dated = _ISO_DATE.sub(r"\1 \2", text)
    dated = _DATE.sub(lambda d: f"{d[3]} {max(int(d[1]), int(d[2]))}", dated)
    numbers = [(shown, found) for shown, found in _readings(dated) if not _own(found)]
    return quotes, numbers


def _own(readings: set[Decimal]) -> bool:
    return all(value < 10 and value == int(value) for value in readings)


def _occurs(quote: str, source: str) -> bool:
    parts = re.split(r"\[?(?:\.\.\.|…)\]?", quote)
    return all(part.strip(" .,;:!?") in source for part in parts)


def _values(text: str) -> Iterator[Decimal]:
    text = plain(text)
    for _, readings in _readings(text):
        yield from readings
    yield from (_WORDS[word] for word in re.findall(r"[a-z]+", text) if word in _WORDS)


def _readings(text: str) -> Iterator[tuple[str, set[Decimal]]]:
    """Each number of a text, with what it may mean: "1.234" is 1234 to some."""
    for found in _NUMBER.finditer(text):
        digits = found[1].replace("'", "").replace(" ", "")
        head, mark, tail = digits.rpartition("," if digits.rfind(",") > digits.rfind(".") else ".")
        values = set[Decimal]()
        if not mark or len(tail) == 3:
            values.add(Decimal(re.sub(r"[.,]", "", digits)))
        if mark and mark not in head:
            values.add(Decimal(f"{re.sub(r'[.,]', '', head)}.{tail}"))
        scale = Decimal(10) ** _SCALE.get(found[2] or "", 0)
        yield found[0], {value * factor for value in values for factor in (Decimal(1), scale)}
