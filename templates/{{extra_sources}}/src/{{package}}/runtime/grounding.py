"""Is a quote really in its source? Found with what a model changes when it copies, no more.

Forgiven: case, whitespace (it counts between two words only), typographic quotes, dashes and
ellipses, Markdown emphasis, invisible characters, and punctuation at the quote's two ends.
Not forgiven: another word or number, a word left out, a part of a word or of a number.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property

# Written as code points: many of these look alike.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
    }
)
_DROPPED = "*_`"
_ENDS = " .,;:!?'\"()[]…-"
_POINTS = ".,"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a source: `source[start:end] == text`."""

    start: int
    end: int
    text: str


class Source:
    """A text in which many quotes are looked up."""

    def __init__(self, text: str) -> None:
        self.text = text

    def find(self, quote: str) -> Passage | None:
        """The first passage that the quote is, or None."""
        plain, origin = self._plain
        wanted = _normalised(quote)[0].strip(_ENDS)
        at = plain.find(wanted) if wanted else -1
        while at >= 0:
            end = at + len(wanted)
            if not (_cuts(plain, at) or _cuts(plain, end)):
                first, last = origin[at], origin[end - 1] + 1
                return Passage(first, last, self.text[first:last])
            at = plain.find(wanted, at + 1)
        return None

    @cached_property
    def _plain(self) -> tuple[str, list[int]]:
        return _normalised(self.text)


def find(quote: str, source: str) -> str | None:
    """The verbatim passage of `source` that the quote is, or None."""
    passage = Source(source).find(quote)
    return passage.text if passage else None


def _normalised(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and for each of its characters the index it came from."""
    plain: list[str] = []
    origin: list[int] = []
    gap = -1
    for index, char in enumerate(text):
        if char.isspace():
            gap = index if gap < 0 else gap
            continue
        for same in _compared(char):
            if same == "-" and plain[-1:] == ["-"]:
                continue  # a dash, as a keyboard types it
            if gap >= 0 and plain and plain[-1].isalnum() and same.isalnum():
                plain.append(" ")
                origin.append(gap)
            gap = -1
            plain.append(same)
            origin.append(index)
    return "".join(plain), origin


def _compared(char: str) -> str:
    if char.isascii():
        return char.lower() if char not in _DROPPED else ""
    return unicodedata.normalize("NFKD", char.translate(_SAME).casefold())


def _cuts(plain: str, at: int) -> bool:
    """Whether a cut before `at` goes through a word or a number (`3|.5`, `1,|000`)."""
    if not 0 < at < len(plain):
        return False
    before, after = plain[at - 1], plain[at]
    if before.isalnum() and after.isalnum():
        return True
    number = before.isdigit() and after in _POINTS and plain[at + 1 : at + 2].isdigit()
    return number or (after.isdigit() and before in _POINTS and plain[at - 2 : at - 1].isdigit())
