"""Make text from outside fit for what it goes to: clients and databases, terminals, spreadsheets."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
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
