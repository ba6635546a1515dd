"""Citations in an answer: `[3]` or `[1, 4]`, numbers of the facts it rests on."""

import re
from collections.abc import Container

_MARK = re.compile(r"\s?\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\]")


def find_numbers(text: str) -> list[int]:
    """Return the numbers cited, each once, in the order they come."""
    cited = (number for mark in _MARK.findall(text) for number in re.findall(r"\d+", mark))
    return list(dict.fromkeys(map(int, cited)))


def remove_numbers(text: str, unknown: Container[int]) -> str:
    """Remove these numbers from the citations of a text."""

    def keep_known(match: re.Match[str]) -> str:
        known = [number for number in find_numbers(match.group()) if number not in unknown]
        space = match.group()[: match.group().index("[")]
        return f"{space}[{', '.join(map(str, known))}]" if known else ""

    return _MARK.sub(keep_known, text)
