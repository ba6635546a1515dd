"""A long text in parts, cut where its structure allows."""

import re
from dataclasses import dataclass

_BREAKS = (
    re.compile(r"^(?=#{1,6}\s)", re.MULTILINE),  # a heading
    re.compile(r"(?<=\n\n)(?=\S)|^(?=[^\W\d_][^\n:]{0,60}:\s)", re.MULTILINE),  # paragraph, turn
    re.compile(r"\n(?=\S)"),  # a line
    re.compile(r"(?<=[.!?])\s+"),  # a sentence
    re.compile(r"\s+"),
)
"""Where a text may be cut, the best kind of place first: before what follows the match."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text that begins at its character `start`."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """Where the part ends in the text."""
        return self.start + len(self.text)


def split(text: str, size: int, overlap: int) -> list[Part]:
    """Return parts of at most `size` characters that cover the text; `overlap` < `size` / 2.

    Each part after the first repeats at most `overlap` characters of the one before it, from the
    start of a paragraph, speaker's turn or sentence where there is one.
    """
    parts: list[Part] = []
    start = 0
    while len(text) - start > size:
        cut = _find_last_break(text, start + size // 2, start + size)
        parts.append(Part(start, text[start:cut]))
        start = _find_first_break(text, cut - overlap, cut)
    return [*parts, Part(start, text[start:])]


def _find_last_break(text: str, low: int, high: int) -> int:
    for kind in _BREAKS:
        places = [match.end() for match in kind.finditer(text, low, high) if match.end() > low]
        if places:
            return places[-1]
    return high


def _find_first_break(text: str, low: int, high: int) -> int:
    for kind in _BREAKS[1:]:
        match = kind.search(text, low, high)
        if match and match.end() < high:
            return match.end()
    return high
