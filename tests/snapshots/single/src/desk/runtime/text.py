"""Make text from outside fit for what it goes to: clients, databases, terminals, spreadsheets."""

import ast
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from .redaction import redact_secrets

Value = TypeVar("Value")

_BREAKS = re.compile("\r?[\x0b\x0c\x1c-\x1e\x85]")  # pages and paragraphs of documents
_HALF = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..")
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)
_BREAK = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x08\x0d-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20|%]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def sanitize(value: Value) -> Value:
    """Return the same value with texts that every client and database takes.

    Half characters and control characters become U+FFFD, two halves their character, a form feed a
    line break. Tabs, line breaks and marks of the writing direction stay.
    """
    result: Any = value
    if isinstance(value, str):
        result = _sanitize_text(value) if _HARMFUL.search(value) else value
    elif type(value) in (list, tuple):
        items = cast("Sequence[Any]", value)
        result = type(value)([sanitize(item) for item in items])  # pyright: ignore[reportCallIssue]
    elif isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        result = {sanitize(key): sanitize(one) for key, one in table.items()}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (
            (one.name, getattr(value, one.name)) for one in dataclasses.fields(value) if one.init
        )
        changed = {name: after for name, old in fields if (after := sanitize(old)) != old}
        result = dataclasses.replace(value, **changed) if changed else value
    return result


def _sanitize_text(text: str) -> str:
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _HARMFUL.sub("\ufffd", _BREAKS.sub("\n", joined))


def drop_half_characters(data: bytes) -> bytes:
    """Replace the escapes of half a character in JSON: parsers refuse the whole text for one."""
    return _HALF.sub(rb"\\ufffd", data)


def printable(text: object) -> str:
    """Return a text as a terminal may show it: without secrets, escapes and hidden characters."""
    return _CONTROL.sub("", _BREAK.sub("\n", _ESCAPE.sub("", redact_secrets(str(text)))))


def csv_cell(value: Any) -> Any:
    """Return a CSV cell that no spreadsheet runs: a possible formula gets a `'` before it."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_csv_cell(text: str) -> str:
    """Return the text that `csv_cell` made a cell of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


MAX_CHARS = 1_000_000  # whatever is longer has to be right as it is
_THINK, _END_OF_THOUGHT = re.compile("<think(?:ing)?>"), re.compile("</think(?:ing)?>")
_FENCED = re.compile(r"```[\w-]*[ \t]*\n?(.*?)```", re.DOTALL)
_START = re.compile(r'\{|\[\s*(?=[\[{"])')  # not the [1] of a citation
_NOT_BLANK = re.compile(r"\S")
# Strings are matched so as to be left alone. One that never ends takes all that follows: looking
# for its end from each quote in it would take minutes.
_REPAIRABLE = re.compile(
    r'"(?:\\.|[^"\\])*(?:"|\Z)|,(?=\s*[}\]])|\b(?:None|True|False)\b', re.DOTALL
)
_REPAIRED = {",": "", "None": "null", "True": "true", "False": "false"}
_NOT_JSON = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
_DECODER = json.JSONDecoder(strict=False)


def extract_json(text: str) -> str:
    """Return the JSON in a text, or the text itself where it holds none or more than one."""
    text = text.strip("\ufeff\u200b \t\r\n")
    if len(text) > MAX_CHARS or _is_json(text):
        return text
    for candidate in _candidates(text):
        if _is_json(candidate):
            return candidate  # as it is: Python rounds a number with more digits than a float has
        values = _read_values(candidate)
        if len(values) == 1:
            return json.dumps(values[0], ensure_ascii=False)
        if values:
            return text
    return text


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, and not JSON in a string."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not isinstance(value, str) or not _read_values(value.strip())


def _candidates(text: str) -> Iterator[str]:
    """Yield what the JSON may be in, from the whole to a part: the first that is JSON counts."""
    yield text
    rest = _drop_thoughts(text)
    yield rest
    if fenced := _FENCED.findall(rest):
        yield "\n".join(fenced).strip()
    yield _find_embedded(rest)


def _drop_thoughts(text: str) -> str:
    """Remove what stands between thinking tags, or before a closing one alone."""
    *thoughts, rest = _END_OF_THOUGHT.split(text)
    before = (_THINK.split(piece, 1) for piece in thoughts)
    return "".join([*(parts[0] for parts in before if len(parts) > 1), rest]).strip()


def _read_values(text: str) -> list[Any]:
    """Return the different objects and lists that a text is, two at most, or none."""
    values: list[Any] = []
    at = 0
    while start := _NOT_BLANK.search(text, at):
        try:
            value, at = _decode(text, start.start())
        except _NOT_JSON:
            return []
        if isinstance(value, str):  # quoted twice
            return _read_values(value.strip()) if at == len(text) else []
        if not isinstance(value, dict | list):
            return []
        values += [value] if len(values) < 2 and value not in values else []
    return values


def _decode(text: str, start: int) -> tuple[Any, int]:
    """Return the first value from `start` on, and where it ends. Raises one of _NOT_JSON."""
    with suppress(ValueError):
        return _DECODER.raw_decode(text, start)
    rest = text[start:]
    with suppress(ValueError):
        return _DECODER.decode(_repair(rest)), len(text)
    value = ast.literal_eval(rest)  # quoted as Python does
    json.dumps(value)
    return value, len(text)


def _find_embedded(text: str) -> str:
    """Return the objects and lists in a sentence; "" where one of them is broken."""
    text = _repair(text)
    found, at = list[str](), 0
    while start := _START.search(text, at):
        try:
            _, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return ""
        found.append(text[start.start() : at])
    return "\n".join(found)


def _repair(text: str) -> str:
    """Rewrite near misses of JSON that can mean one thing only: a last comma, Python's literals."""
    return _REPAIRABLE.sub(lambda found: _REPAIRED.get(found[0], found[0]), text)
