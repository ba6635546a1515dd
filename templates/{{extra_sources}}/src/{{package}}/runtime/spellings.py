"""One way to write what English writes in several: names, dates, numbers, units, short forms."""

import re
import unicodedata
from collections.abc import Callable

DATE = re.compile(r"d(?P<year>\d{4})?m(?P<month>\d\d)(?:d(?P<day>\d\d))?")
"""How a date is written in the end: d2025m04d03, d2025m04, dm04d03."""

_KEYBOARD = str.maketrans(
    "\u2018\u2019\u201c\u201d\u201e\u2010\u2011\u2013\u2014\u2212", '\'\'"""-----', "*`_"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?|july?"
    r"|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_SCALES = {"thousand": 3, "k": 3, "million": 6, "mn": 6, "billion": 9, "bn": 9, "trillion": 12}
_SCALE = r"(thousand|million|billion|trillion|bn|mn|(?<=\d)k)\b"
_SIGNS = {"$": "dollar", "\u20ac": "euro", "\xa3": "pound", "\xa5": "yen"}
_MONEY = re.compile(
    r"([$\u20ac\xa3\xa5])\s?(\d(?:[\d,.]*\d)?)((?:\s?(?:[a-z]*illion|bn|mn|k|m)\b)?)"
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,\d{3})+(?![\d,])|(?:[' ]\d{3})+(?!\d))")


def split_words(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


def _read_rules(text: str) -> list[tuple[re.Pattern[str], str]]:
    """Read one rule per line: a pattern, an arrow, and the replacement (`_` is a blank)."""
    lines = [line.partition(" ->") for line in text.strip("\n").splitlines()]
    return [(re.compile(pattern), form[1:].replace("_", " ")) for pattern, _, form in lines]


# Before case is lost.
_NAMES = _read_rules(r"""
\bUS(?=\$) ->
\bU\.?S\.?(?:A\.?)?(?=\W|$)|\b(?i:United States(?: of America)?) -> unitedstates
\bE\.?U\.?(?=\W|$)|\b(?i:European Union)\b -> europeanunion
\bU\.?K\.?(?=\W|$)|\b(?i:United Kingdom)\b -> unitedkingdom
(?<=\w),? (?:Inc|Ltd|Corp|Co|AG|GmbH|PLC|plc|LLC|SE)\b\.? ->
\b(?!(?i:it|he|she|that|there|who|what)')((?:[A-Z][\w-]+ )*[\w-]+)'s ([\w-]+) -> \2 of \1
\b(?i:(in|since|until|by|last|early|late|mid|from|to|before|after|during|of)) May\b(?!,? \d) -> \1 maymonth
\bECB\b -> European Central Bank
\bWHO\b -> World Health Organization
\bU\.?N\.?(?=\W|$) -> United Nations
\bIMF\b -> International Monetary Fund
\bGDP\b -> gross domestic product
\bCEO\b -> chief executive officer
\b(Mr|Mrs|Ms|Dr|Prof|St)\. -> \1
(?<=\w )A\b -> letterA
""")
_OPENERS = re.compile(
    r"^(?:\W*(?:it is (?:also )?(?:true |clear |known )?that|however|furthermore|moreover"
    r"|in addition(?! to)|additionally|overall|indeed|in fact|of course|as (?:ever|usual|always)"
    r"|also)\b,?)+\s"
)
_FORMS = _read_rules(r"""
(?<=s)'(?=\s) ->
\bcan(?:not|'t)\b -> can not
\bwon't\b -> will not
n't\b -> _not
\b(it|he|she|that|there|who)'s\b -> \1 is
\b(they|we|you)'re\b -> \1 are
\bper cent\b|% -> _percent_
\bminus (?=\d) -> -
(?<=\d)\s?\xb0\s?c\b -> _degree celsius
\xb0 -> _degree
& -> _and
; -> _, and
(?<=\d)\s?-\s?(?=\d) -> _to_
(?<=\d)\s?km\b -> _kilometre
(?<=\d)\s?kg\b -> _kilogram
(?<=\d)\s?mg\b -> _milligram
(?<=\d)\s?cm\b -> _centimetre
(?<=\d)\s?mm\b -> _millimetre
(?<=\d)\s?m\b -> _metre
(?<=\d)\s?g\b -> _gram
\bfeet\b -> foot
\b(?<!is )(?<!was )(?<!are )(?<!be )used to\b -> formerly
\bfree (?:of|from)\b(?! charge) -> without
\ba few\b -> several
\b(?:at least|no (?:fewer|less) than|a minimum of)(?= -?\d) -> atleast
\b(?:at most|up to|no more than|a maximum of)(?= -?\d) -> atmost
\b(?:more than|over|above|in excess of)(?= -?\d) -> morethan
\b(?:less than|fewer than|under|below)(?= -?\d) -> lessthan
\b(?:about|around|approximately|roughly|circa|approx\.|some)(?= -?\d) -> approximately
\b(?:an?|each|per|every) (second|minute|hour|day|week|month|year|night)\b -> per\1
\b(?:is|are) able to\b -> can
\b(?:was|were) able to\b -> could
\bmight\b -> may
\bin order to\b -> to
\b(?:instead of|rather than|in place of|anything but|by no means|far from(?! (?:the|an?|it|home)\b))\b -> not
\b(?:apart|aside) from\b|\bwith the exception of\b -> except
\bin the (?:opinion|view|eyes|judg(?:e)?ment) of\b -> allegedly for
^(?:should|were|had) -> if
\b(?:is|are|was|were) said to\b -> allegedly
\b(the|an?|one|two|this|that|his|her|its|their) (?=(?:suspect|claim|plan|offer|doubt|hope|aim)s?\b) -> \1 noun
\b(?:is|are|was|were) to (?=be\b|(?!the\b|an?\b|this\b|that\b|his\b|her\b|its\b|their\b)[a-z]{3,}) -> will_
\bdeclin(?:e|es|ed) to\b -> refused to
\b(?:stop|ceas|quit|halt|abandon|suspend)(?:e|es|s|ped|ed|d)?(?= \w+ing\b) -> failed
\b(?:passed|passes|pass) away\b -> died
\bno one\b -> nobody
\bdoctor (?=[a-z]) -> dr_
(?<=\d)\s?([ap])\.?\s?m\b\.? -> _\1m
\b1st\b -> first
\b2nd\b -> second
\b3rd\b -> third
\b4th\b -> fourth
\b5th\b -> fifth
\bone of the (?=(?:\w+ )?(?:\w{3,}est|most|least|best|worst)\b) -> among the_
\bnext (?:week|month|year|spring|summer|autumn|winter)\b -> nextyear
\b50 _?percent_* of\b -> half of
\b(?:due|owing) to\b -> because of
\bas well as\b -> and
\be-(?=mail|commerce) -> e
(?<=[^\W\d])-(?=[^\W\d]) -> _
""")
_WORDS = _read_rules(r"""
(?<=....)is(e|es|ed|ing|ation|ations|er|ers)$ -> iz\1
(?<=...)our(?=s?$|ed$|ite|ful) -> or
tre(s?)$ -> ter\1
^programme(s?)$ -> program\1
ence$ -> ense
ll(?=ed$|ing$|er$|ers$) -> l
lys(?=e|ing) -> lyz
""")


def normalize_text(text: str) -> str:
    """Write a sentence in small letters, with one form for what has several."""
    said = unify_names(text).casefold()
    said = _unify_dates(said)
    said = _THOUSANDS.sub(lambda number: re.sub(r"\D", "", number[0]), said)
    said = _MONEY.sub(_move_currency, said)
    # Starts only where a number begins: starting at each digit takes cubic time for a long one.
    said = re.sub(rf"(?<!\d)(?<!\d[.,])(\d(?:[\d.,]*\d)?)\s?{_SCALE}", _write_out_scale, said)
    said = _OPENERS.sub("", said)
    for pattern, form in _FORMS:
        said = pattern.sub(form, said)
    return said


def unify_names(text: str) -> str:
    """Write a sentence with a keyboard's signs and one spelling for each name."""
    said = unicodedata.normalize("NFKC", text).translate(_KEYBOARD).strip(' \t\n-.!?"')
    for pattern, form in _NAMES:
        said = pattern.sub(form, said)
    return said


def normalize_word(word: str) -> str:
    """Return a word in American spelling."""
    for pattern, form in _WORDS:
        word = pattern.sub(form, word)
    return word


def _unify_dates(said: str) -> str:
    said = _ISO.sub(r"d\1m\2d\3", said)
    said = re.sub(rf"\b{_DAY} {_MONTH},? (\d{{4}})\b", _make_date_writer(3, 2, 1), said)
    said = re.sub(rf"\b{_MONTH} {_DAY},? (\d{{4}})\b", _make_date_writer(3, 1, 2), said)
    said = re.sub(rf"\b{_MONTH} (\d{{4}})\b", _make_date_writer(2, 1), said)
    said = re.sub(rf"\b{_DAY} {_MONTH}(?!\w)", _make_date_writer(0, 2, 1), said)
    return re.sub(rf"\b{_MONTH} {_DAY}\b(?![.,:]\d)", _make_date_writer(0, 1, 2), said)


def _make_date_writer(year: int, month: int, day: int = 0) -> Callable[[re.Match[str]], str]:
    def write(found: re.Match[str]) -> str:
        at = _MONTHS.index(found[month][:3]) + 1
        head = found[year] if year else ""
        return f"d{head}m{at:02}" + (f"d{int(found[day]):02}" if day else "")

    return write


def _move_currency(found: re.Match[str]) -> str:
    scale = " million" if found[3].strip() == "m" else found[3]
    return f"{found[2]}{scale} {_SIGNS[found[1]]}"


def _write_out_scale(found: re.Match[str]) -> str:
    power = _SCALES[found[2]]
    head, _, tail = found[1].replace(",", "").partition(".")
    return f"{head}{tail.ljust(power, '0')}" if len(tail) <= power else found[0]
