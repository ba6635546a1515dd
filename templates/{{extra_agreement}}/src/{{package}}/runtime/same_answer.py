"""Tell whether two answers are the same one: the same value, however it is written.

Numbers, fractions, percentages, amounts and dates are read as what they are; lists and literals
by their parts. What limits or negates a value ("at least 6", "5 or 9", "not X") and the case of
`abCd` belong to it. A date such as 03/04/2026, which may be either, is its own text only.
"""

import ast
import json
import re
import warnings
from typing import Any, cast

from .grounded import NUMBER, parse_typed, readings
from .values import MOST, MOST_DIGITS, final, same_values, value_of

FREE_WORDS = 6
"""A text of so many words is free: two models never write the same one."""

_LIMITS = {
    "or": r"\bor\b|\beither\b",
    "not": r"\b(?:not|no(?!\. ?\d)|never|none|neither|cannot|without)\b|n't\b|!=|\xac",
    "least": r"\bat least\b|>=|\bor (?:more|above|higher|greater)\b|\bminimum\b|\bno less\b",
    "most": r"\bat most\b|<=|\bup to\b|\bor (?:less|fewer|below)\b|\bmaximum\b|\bno more\b",
    "more": r"\b(?:more|greater|higher|larger) than\b|\b(?:over|above|exceeds)\s[$\d]|>(?!=)",
    "less": r"\b(?:less|fewer|lower|smaller) than\b|\b(?:under|below)\s[$\d]|<(?!=)",
    "range": r"\bbetween\b|\d\s*(?:to|-|\.\.\.?)\s*\d|\d\s?\+(?!\s?[\d(])|\xb1|\+/-",
    "part": r"\b(?:half|twice|double|triple|thirds?|quarters?)(?: of| the)?\s[$\d]",
    "time": r"\b(?:before|after|until|since)\b",
    "if": r"\b(?:if|unless|except|other than|all but|provided|depend(?:s|ing))\b",
    "down": r"\b(?:loss|lost|loses?|losing|debt|deficit|owe[sd]?|decreas\w+|declin\w+|drop(?:s|ped)?"
    r"|fell|falls|down|reduc\w+|discount|negative|bce?|shortfall|overdraft)\b"
    r"|\b(?:below|under) (?:zero|par|sea)\b|\boff$",
    "of": r"\d\s(?:out )?of\s(?:the )?\d",
}
_LIMIT = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _LIMITS.items()}
_EXPRESSION = re.compile(
    r"(?<=[\w)])\s?[*/^]\s?(?=[\w(])|\d[a-z]\b|[a-z]\(|\b(?:sqrt|pi|log|ln|sin|cos|tan|i)\b"
    r"|[\w)]\s[+-]\s[\w(]|(?<![a-z]{2})(?<=[\w)])[+-](?=[\d(]|[a-z]\b)|[\[\]{}<>|]|\w!|==|[\u2190-\u22ff]"
)
_TOKEN = re.compile(
    r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[-+](?=\s?(?:\d|[a-z]\b|\(|infin"
    r"|sqrt|pi\b))|[*/^<>=!%&|~\xac\u2190-\u22ff]|_+|'{1,9}(?=\()"
)
_BRACKETS = re.compile(r"[\[({][^\])}]{0,99},")
_QUANTITY = re.compile(
    r"(?<![\w./^])-?\d+(?:\.\d+)?(?:/\d+)?(?!\w|[./^]\w)\s*([a-z%$\u20ac\xa3]*)", re.IGNORECASE
)
# Names that are no more the same with another case or a zero less: v1.10, ORD-0012, a_b, /etc.
_CODE = re.compile(
    r"(?<![\w/$.-])(?!on\d{4}m)(?:[a-z][a-z-]*\d[\w.-]*\w|[a-z]\d|\w*_\w+|(?:[a-z]:)?[/\\]\w[\w./\\-]*"
    r"|^0\d+$|[a-f\d]{7,}(?<=[a-f\d]{6}[a-f])(?!\w)|\w+:[a-z\d]*\d[a-z\d]*)",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|only|however|although|though|part(?:ly|ially)|sometimes)\b")
_MONTH_BEFORE = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\W*$", re.IGNORECASE
)
_LISTED = re.compile(r"\d\w*\s*(?:,|;|&|and)\s*$", re.IGNORECASE)


def is_same(one: str, other: str, field: str = "", *, exact: bool = False) -> bool:
    """Return whether two answers agree: on one field, on their short fields, or on how they end.

    Of a text counts what follows "answer:", else its last line. Free texts in typed answers count
    only where these have nothing else. `exact`: letter by letter, or as equal JSON.
    """
    left, right = parse_typed(one), parse_typed(other)
    if isinstance(left, dict) and isinstance(right, dict):
        return _same_fields(left, right, field, exact=exact)
    if exact:
        return _is_equal(left, right)
    return _agree(
        one if isinstance(left, str) else left, other if isinstance(right, str) else right
    )


def _same_fields(one: dict[str, Any], other: dict[str, Any], field: str, *, exact: bool) -> bool:
    if field:
        if field not in one or field not in other:
            return False
        return (_is_equal if exact else _agree)(one[field], other[field])
    if exact:
        return _is_equal(one, other)
    names = one.keys() | other.keys()
    short = [name for name in names if not (_is_free(one.get(name)) or _is_free(other.get(name)))]
    return all(_agree(one.get(name), other.get(name)) for name in short or names)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_free(value: Any) -> bool:
    """Return whether a field is a text that each model words in its own way."""
    if isinstance(value, list):
        return any(map(_is_free, cast(list[Any], value)))
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value).values()
        return bool(fields) and all(map(_is_free, fields))
    if not isinstance(value, str):
        return False
    words = len(value.split())
    return words >= FREE_WORDS or (words > 2 and value.rstrip()[-1:] in ".!?")


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return _same_fields(cast(dict[str, Any], one), cast(dict[str, Any], other), "", exact=False)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(cast(list[Any], one), cast(list[Any], other), strict=False)
        return len(cast(list[Any], one)) == len(cast(list[Any], other)) and all(
            _agree(a, b) for a, b in pairs
        )
    if one is None or other is None or isinstance(one, bool) or isinstance(other, bool):
        return one is other or f"{one}".strip().casefold() == f"{other}".strip().casefold()
    return _same_text(_text(one), _text(other))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _same_text(one: str, other: str) -> bool:
    left, right = final(one), final(other)
    if left == right:
        return True
    if max(len(left), len(right)) > MOST:
        return _tokens(left) == _tokens(right)
    literals = _literal(left), _literal(right)
    if any(isinstance(part, list | dict | tuple | set | str) for part in literals):
        return _same_literals(*literals, left, right)
    if _limits(left) != _limits(right) or _CODE.findall(left) != _CODE.findall(right):
        return False
    if _choices(left) and _choices(left) == _choices(right):
        return True
    values = value_of(left), value_of(right)
    if values[0] and values[1]:
        return same_values(values[0], values[1])
    return _tokens(left) == _tokens(right) or _holds(left, right) or _holds(right, left)


def _literal(said: str) -> Any:
    """Return the list, mapping or quoted text that this is, in JSON or Python; else None."""
    if said[:1] not in ("[", "{", "(", "'", '"'):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return read(said)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _same_literals(one: Any, other: Any, left: str, right: str) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, str) or isinstance(other, str):
        quoted, bare = (one, right) if isinstance(one, str) else (other, left)
        if quoted == bare:
            return True
        inner = _literal(quoted.strip())
        if inner is None or (one is not None and other is not None and isinstance(inner, str)):
            return _tokens(quoted) == _tokens(bare) and bool(_tokens(bare))
        return _same_literals(inner, _literal(bare), quoted, bare)
    return one is not None and other is not None and type(one) is type(other) and one == other


def _limits(said: str) -> set[str]:
    return {name for name, pattern in _LIMIT.items() if pattern.search(said)}


def _choices(said: str) -> set[str]:
    """Return what "Paris or London" leaves open, and the letters of "A and C", in any order."""
    parts = re.split(r"\s+or\s+", said.casefold())
    if len(parts) == 1 and re.fullmatch(r"[A-J](?:(?:,|,? and|,? &) ?[A-J])+", said):
        parts = re.findall("[A-J]", said)
    return set(parts) if len(parts) > 1 else set()


def _tokens(said: str) -> list[str]:
    """Return words and numbers; the case of a word such as abCd is a part of it."""
    said = NUMBER.sub(_write_number, said)
    found = _TOKEN.findall(said)
    if _BRACKETS.search(said):
        found = re.findall(rf"{_TOKEN.pattern}|[\[\](){{}},]", said)
    return [one if _is_mixed(one) else one.casefold() for one in found if one != "*"] or [said]


def _is_mixed(word: str) -> bool:
    return word.isalpha() and not (word.islower() or word.isupper() or word.istitle())


def _write_number(number: re.Match[str]) -> str:
    if number["scale"] or len(number["digits"]) > MOST_DIGITS:
        return number[0]
    digits = f"{number['sign']}{readings(number)[0]:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _holds(text: str, short: str) -> bool:
    """Return whether a text says one value, and this is it: "There are 12 km left", "12 km"."""
    if short.casefold() in ("yes", "no"):
        there = re.match(rf"{short}\b[,.:;](?!\s?\d)", text, re.IGNORECASE)
        return bool(there) and not _BUT.search(text.casefold())
    if re.fullmatch(r"\(?[A-Ja-j]\)?", short):
        letter = short.strip("()")
        return bool(re.match(rf"(?:option |choice )?\(?{letter}[).:](?:\s|$)", text, re.IGNORECASE))
    if re.fullmatch(r"on\d{4}m\d\dd\d\d", short):
        return [short] == re.findall(r"on\d{4}m\d\dd\d\d", text)
    if _EXPRESSION.search(text.casefold()) or _EXPRESSION.search(short.casefold()):
        return False
    return _holds_quantity(NUMBER.sub(_write_number, text), NUMBER.sub(_write_number, short))


def _holds_quantity(text: str, short: str) -> bool:
    there, its = list(_QUANTITY.finditer(text)), list(_QUANTITY.finditer(short))
    if not there or len(its) != 1 or _LISTED.search(text[: there[-1].start()]):
        return False
    ends = (text[: there[-1].start()], short[: its[0].start()])
    if any(map(_MONTH_BEFORE.search, ends)):
        return False
    names = [set(re.findall(r"(?<=[a-z,] )[A-Z]\w+", said)) for said in (text, short)]
    if names[0] and names[1] and names[0].isdisjoint(names[1]):
        return False
    before = [len(said[: at.start()].split()) for said, at in ((text, there[-1]), (short, its[0]))]
    if before[0] == before[1] > 0 and len(text.split()) == len(short.split()):
        return False  # worded alike, and a word is another
    one, other = value_of(there[-1][0].strip()), value_of(its[0][0].strip())
    return bool(one and other and same_values(one, other))
