"""Citations in an answer: `[3]` or `[1, 4]`, numbers of what it was given."""

import re
from collections.abc import Container

_MARK = re.compile(r"\s?\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\]")


def numbers(text: str) -> list[int]:
    """The numbers cited, each once, in the order they come."""
    cited = (number for mark in _MARK.findall(text) for number in re.findall(r"\d+", mark))
    return list(dict.fromkeys(map(int, cited)))


def without(text: str, unknown: Container[int]) -> str:
    """The text with these numbers taken out of its citations."""

    def kept(match: re.Match[str]) -> str:
        known = [number for number in numbers(match.group()) if number not in unknown]
        space = match.group()[: match.group().index("[")]
        return f"{space}[{', '.join(map(str, known))}]" if known else ""

    return _MARK.sub(kept, text)
