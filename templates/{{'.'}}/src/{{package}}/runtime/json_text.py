"""JSON out of an answer that has more around it: a fence, a sentence, thoughts, quotes."""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_THINKS, _HAS_THOUGHT = re.compile("<think(?:ing)?>"), re.compile("</think(?:ing)?>")
_FENCED = re.compile(r"```[\w-]*[ \t]*\n?(.*?)```", re.DOTALL)
_START = re.compile(r'\{|\[\s*(?=[\[{"])')  # not the [1] of a citation
_NEXT = re.compile(r"\S")
# Strings are matched so as to be left alone, and one that never ends takes all that follows: to look
# for its end from each quote in it takes minutes. The rest is not JSON, but means one thing only.
_ALMOST = re.compile(r'"(?:\\.|[^"\\])*(?:"|\Z)|,(?=\s*[}\]])|\b(?:None|True|False)\b', re.DOTALL)
_MEANS = {",": "", "None": "null", "True": "true", "False": "false"}
_LONGEST = 1_000_000  # characters; whatever is longer has to be right as it is
_WRONG = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def extract_json(text: str) -> str:
    """The JSON of an answer; the text as it is where it holds none, or more than one."""
    text = text.strip("\ufeff\u200b \t\r\n")
    if len(text) > _LONGEST or _is_json(text):
        return text
    for reading in _readings(text):
        if _is_json(reading):
            return reading  # as it is: Python rounds a number with more digits than a float has
        values = _values(reading)
        if len(values) == 1:
            return json.dumps(values[0], ensure_ascii=False)
        if values:
            return text
    return text


def _is_json(text: str) -> bool:
    """Whether a text is JSON, and not JSON in a string."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not isinstance(value, str) or not _values(value.strip())


def _readings(text: str) -> Iterator[str]:
    """What the JSON may be in, from the whole to a part: the first that is JSON counts."""
    yield text
    rest = _without_thoughts(text)
    yield rest
    if fenced := _FENCED.findall(rest):
        yield "\n".join(fenced).strip()
    yield _embedded(rest)


def _without_thoughts(text: str) -> str:
    """The text without what stands between thinking tags, or before a closing one alone."""
    *thoughts, rest = _HAS_THOUGHT.split(text)
    said = (_THINKS.split(piece, 1) for piece in thoughts)
    return "".join([*(parts[0] for parts in said if len(parts) > 1), rest]).strip()


def _values(text: str) -> list[Any]:
    """The different objects and lists that a text is, two at most; none where it is anything else."""
    found: list[Any] = []
    at = 0
    while start := _NEXT.search(text, at):
        try:
            value, at = _decode(text, start.start())
        except _WRONG:
            return []
        if isinstance(value, str):  # quoted twice
            return _values(value.strip()) if at == len(text) else []
        if not isinstance(value, dict | list):
            return []
        found += [value] if len(found) < 2 and value not in found else []
    return found


def _decode(text: str, start: int) -> tuple[Any, int]:
    """The first value from `start` on, and where it ends. Raises one of _WRONG."""
    decoder = json.JSONDecoder(strict=False)
    with suppress(ValueError):
        return decoder.raw_decode(text, start)
    rest = text[start:]
    with suppress(ValueError):
        return decoder.decode(_almost(rest)), len(text)
    value = ast.literal_eval(rest)  # quoted as Python does
    json.dumps(value)
    return value, len(text)


def _embedded(text: str) -> str:
    """The objects and lists that stand in a sentence; nothing where one of them is broken."""
    decoder, found, at = json.JSONDecoder(strict=False), list[str](), 0
    text = _almost(text)
    while start := _START.search(text, at):
        try:
            _, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return ""
        found.append(text[start.start() : at])
    return "\n".join(found)


def _almost(text: str) -> str:
    return _ALMOST.sub(lambda found: _MEANS.get(found[0], found[0]), text)
