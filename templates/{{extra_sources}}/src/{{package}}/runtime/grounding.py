"""Find quotes in their source, whatever a model changes when it copies and no more.

Forgiven: case, whitespace (it counts between two words only), typographic signs, Markdown
emphasis, invisible characters, and punctuation.
Not forgiven: another word or number, a word left out, a part of a word or of a number, and
another sign at a number, such as - or $.
"""

import re
from dataclasses import dataclass
from itertools import accumulate

from .grounded import WORD, join_words, plain

_CHARACTER = re.compile(r".[\u0300-\u036f]*", re.DOTALL)  # with its accents


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a source: `source[start:end] == text`."""

    start: int
    end: int
    text: str


class Source:
    """A text in which many quotes are looked up."""

    def __init__(self, text: str) -> None:
        """Index the words of a text."""
        self.text = text
        characters = _CHARACTER.findall(text)
        forms = {character: plain(character) for character in set(characters)}
        starts = [0, *accumulate(map(len, characters))]
        places = [at for at, character in enumerate(characters) for _ in forms[character]]
        spelt = "".join(forms[character] for character in characters)
        self._lines = join_words(spelt)
        self._spans = [
            (starts[places[word.start()]], starts[places[word.end() - 1] + 1])
            for word in WORD.finditer(spelt)
        ]

    def find(self, quote: str) -> Passage | None:
        """Return the first passage that matches the quote, or None."""
        wanted = join_words(plain(quote))
        at = self._lines.find(wanted) if wanted.strip() else -1
        if at < 0:
            return None
        first = self._lines.count("\n", 0, at)
        start, end = self._spans[first][0], self._spans[first + wanted.count("\n") - 2][1]
        return Passage(start, end, self.text[start:end])
