"""How an answer ends, and the number that it is: signs, LaTeX, units and dates in one form."""

import re
import unicodedata
from fractions import Fraction

from .grounded import NUMBER, plain, readings

MOST = 2000
"""Characters of an answer's end that are read closely."""
MOST_DIGITS = 400

_SIGNS = str.maketrans(
    "\u2212\u2013\u2010\u2011\u2018\u2019\u201c\u201d\xd7\u22c5\xb7\xf7",
    "----''\"\"***/",
    "\xad\u200b\u200c\u200d\u2060\ufeff",
)
_RAISED = "\u2070\xb9\xb2\xb3\u2074\u2075\u2076\u2077\u2078\u2079"


def _rules(text: str) -> list[tuple[re.Pattern[str], str]]:
    """Read a rule a line: a pattern, an arrow, and what it becomes (`_` is a blank), in order."""
    lines = [line.partition(" ->") for line in text.strip("\n").splitlines()]
    return [(re.compile(pattern), form[1:].replace("_", " ")) for pattern, _, form in lines]


_PLAIN = _rules(r"""
\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\} -> (\1)/(\2)
\\[dt]?frac\s*(\d)\s*(\d) -> \1/\2
\\sqrt\s*\{([^{}]*)\} -> sqrt(\1)
\u221a\s*\(?(\w+)\)? -> sqrt(\1)
\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\} -> _\1_
\\(?:cdot|times)\b -> *
\\div\b -> /
\\(?:leq?|leqslant)\b|\u2264 -> <=
\\(?:geq?|geqslant)\b|\u2265 -> >=
\\pi\b|\u03c0 -> pi
\\infty\b|\u221e -> infinity
\\(?:left|right|displaystyle)\b|\\[,!;:] ->
\^\s*\{?\\circ\}?|\xb0 -> _degrees_
\{,\} -> ,
\\([%$#&]) -> \1
\\[()\[\]] -> _
\^\{([^{}]*)\} -> ^(\1)
(?<![\w)*])\*\*([^*]+)\*\*(?![\w(*]) -> \1
(?<![\w)*])\*([^*\d]+)\*(?![\w(*]) -> \1
(?<=[\d)])\s?\*\*\s?(?=[\w(-])|(?<=\b[a-zA-Z])\*\*(?=[\w(-]) -> ^
(?<=\d)\s?[xX]\s?(?=10\s?\^) -> *
`+ ->
^\s*(?:[-*>#]+\s+)+(?=[^\W\d]|\() ->
\bminus\s(?=\d) -> -
(?i)\b(?:at most|(?:no|not) (?:more|greater|higher|longer) than|up to|a maximum of) (?=[$\d]) -> <=_
(?i)\b(?:at least|(?:no|not) (?:less|fewer|lower) than|a minimum of) (?=[$\d]) -> >=_
(?i)\b(?:more|greater|higher) than (?=[$\d]) -> >_
(?i)\b(?:less|fewer|lower) than (?=[$\d]) -> <_
(?i)\bbetween ([$\d.,]+) and (?=[$\d]) -> \1 to_
""")
_MARK = re.compile(r"(?:\b(?:answer|result)(?: is)?|####)[\s:*]*(?=\S)", re.IGNORECASE)
_EQUALS = re.compile(r"(?<![<>=!])=(?!=)[\s:]*(?=\S)")
_FRACTION = re.compile(r"(?:(\d+)\s+)?\(?(-?\d+(?:\.\d+)?)\)?\s*/\s*\(?(\d+(?:\.\d+)?)\)?")
_SCIENTIFIC = re.compile(
    r"(-?\d+(?:\.\d+)?)\s*(?:e|\*\s*10\s*\^)\s*\(?\s*([+-]?\d{1,3})\)?(?![\d.])", re.IGNORECASE
)
_ALIKE = """
dollar $ usd us$ buck
euro \u20ac eur
pound \xa3 gbp
percent % pct
km kilometer kilometre
m meter metre
cm centimeter centimetre
mm millimeter millimetre
kg kilogram kilo
g gram gramme
hour h hr
minute min
second sec
degree deg
mile mi
foot feet ft
inch inche in
liter litre l
person people
"""
_UNITS = {word: line.split()[0] for line in _ALIKE.strip().splitlines() for word in line.split()}
_RATE = re.compile(r"(?:^| )(?:per|an?|each|every) ([a-z]+)$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    r"\b(?:(?P<y>\d{4})[-/](?P<m>\d\d?)[-/](?P<d>\d\d?)|(?P<d1>\d\d?)\.(?P<m1>\d\d?)\.(?P<y1>\d{4})"
    r"|(?P<a>\d\d?)/(?P<b>\d\d?)/(?P<y2>\d{4})"
    r"|(?P<d3>\d\d?)(?:st|nd|rd|th)?(?: of)? (?P<m3>[a-z]{3,9})\.?,? (?P<y3>\d{4})"
    r"|(?P<m4>[a-z]{3,9})\.? (?P<d4>\d\d?)(?:st|nd|rd|th)?,? (?P<y4>\d{4}))\b",
    re.IGNORECASE,
)

_CLOCK = re.compile(r"\b(1[0-2]|0?[1-9])(?::([0-5]\d))?\s?([ap])\.?m\b\.?", re.IGNORECASE)
_SEVERAL = re.compile(r"\}\s?(?:\$|\\\))?\s?(?:,|and|or)\s(?:\$|\\\()?\s?\\?boxed\{")


def final(text: str) -> str:
    """Return how a text ends, with signs and LaTeX as a keyboard has them, and dates as numbers."""
    lines = [line for line in text.splitlines() if re.search(r"[\w\[({]", line)]
    lines = [line for line in lines if not line.startswith("```")] or [text]
    said = re.sub(f"[{_RAISED}]+", _write_power, lines[-1])
    said = unicodedata.normalize("NFKC", said).replace("\u2044", "/").translate(_SIGNS)
    if len(said) > MOST:
        return " ".join(said.split())
    said = _open_box(said)
    for pattern, form in _PLAIN:
        said = pattern.sub(form, said)
    said = _MARK.split(said)[-1].strip().rstrip(".;: ")
    said = re.sub(r"(?<![\d)])(?<!\b[a-zA-Z])!+$", "", said)
    if said.endswith("$"):  # LaTeX, not an amount
        said = said.strip("$ ").rstrip(".")
    if not re.search(r"[\[{(\"']|\b(?:or|and)\b", said):
        said = _EQUALS.split(said)[-1]
    return " ".join(_CLOCK.sub(_write_time, _DATE.sub(_write_date, said)).split())


def _write_time(found: re.Match[str]) -> str:
    hours = int(found[1]) % 12 + 12 * (found[3] in "pP")
    return f"{hours or '00'}:{found[2] or '00'}"


def _write_power(found: re.Match[str]) -> str:
    return "^" + "".join(str(_RAISED.index(digit)) for digit in found[0])


def _open_box(said: str) -> str:
    """Return what stands in the last `boxed{...}`, braces inside it kept."""
    start = said.rfind("boxed{") + 6
    if start < 6 or _SEVERAL.search(said):
        return said
    depth = 1
    for at in range(start, len(said)):
        depth += {"{": 1, "}": -1}.get(said[at], 0)
        if not depth:
            return said[start:at]
    return said[start:]


def _write_date(found: re.Match[str]) -> str:
    part = {name[0]: value for name, value in found.groupdict().items() if value}
    if "a" in part:  # 25/12/2026 is plain, 03/04/2026 is not
        first, second = int(part["a"]), int(part["b"])
        if first <= 12 and second <= 12 and first != second:
            return found[0]
        part["d"], part["m"] = (part["a"], part["b"]) if first > 12 else (part["b"], part["a"])
    name = part["m"].casefold()[:3]
    month = (
        int(part["m"]) if part["m"].isdigit() else _MONTHS.index(name) + 1 if name in _MONTHS else 0
    )
    if not (1 <= month <= 12 and 1 <= int(part["d"]) <= 31):
        return found[0]
    return f"on{part['y']}m{month:02}d{int(part['d']):02}"


def value_of(said: str) -> tuple[Fraction, str] | None:
    """Return the number that a text is, and its unit or ""; None where it is more than that."""
    sign = re.match(r"(-?)\s*(us\$|[$\u20ac\xa3])\s*(?=-?[\d.])", said, re.IGNORECASE)
    unit = _UNITS.get(sign[2].casefold(), "") if sign else ""
    rest = (sign[1] + said[sign.end() :]) if sign else said
    read = _number(rest, currency=bool(sign))
    if read is None:
        return None
    number, end = read
    written = rest[end:].strip(" .")
    words = written.casefold()
    if not re.fullmatch(r"(?:%|[a-z\u20ac\xa3$]+(?: [a-z]+){0,2})?", words):
        return None
    if rest[end : end + 1].isalpha() and words not in _UNITS:
        return None  # 2x
    per = words if unit and words not in _UNITS else ""
    # 5 MW is not 5 mW, nor 1 Gb 1 GB.
    short = len(written) <= 3 and words not in _UNITS
    return number, f"{unit} {per}".strip() or (written if short else _unit(words))


def _number(said: str, *, currency: bool = False) -> tuple[Fraction, int] | None:
    """Return the number that a text begins with, and where it ends."""
    if found := _SCIENTIFIC.match(said):
        return Fraction(found[1]) * Fraction(10) ** int(found[2]), found.end()
    negative = said.startswith("-") and bool(_FRACTION.match(said[1:].lstrip()))
    at = len(said) - len(said[1:].lstrip()) if negative else 0
    if (found := _FRACTION.match(said, at)) and len(found[0]) < MOST_DIGITS:
        below = Fraction(found[3])
        if not below or said[found.end() :].lstrip()[:1] in ("/", "*", "^"):
            return None
        value = abs(Fraction(found[1] or 0)) + Fraction(found[2]) / below
        return -value if negative else value, found.end()
    text = plain(said)
    found = NUMBER.match(text)
    if not found or len(text) != len(said) or len(found["digits"]) > MOST_DIGITS:
        return None
    metres = found["scale"] == "m" and not currency
    value = readings(found)[-1 if metres else 0]
    end = found.end("digits") if metres else found.end()
    return Fraction(f"{found['sign']}{value:f}"), end


def _unit(words: str) -> str:
    rate = _RATE.search(words)
    named = words[: rate.start()] if rate else words
    first, _, more = named.partition(" ")
    unit = _UNITS.get(first) or _UNITS.get(first.rstrip("s")) or first.rstrip("s")
    if unit == "degree" and more:  # Celsius is not Fahrenheit
        unit += f" {more[0]}"
    return f"{unit} per {_unit(rate[1])}".strip() if rate else unit


def same_values(one: tuple[Fraction, str], other: tuple[Fraction, str]) -> bool:
    (left, unit), (right, its) = one, other
    share = {unit, its} == {"percent", ""}
    if left == right:
        # "25" may be meant as 25 %, "0.5" hardly as 0.5 %.
        return abs(left) >= 1 or not left if share else not (unit and its) or unit == its
    return share and (left / 100 == right if unit else right / 100 == left)
