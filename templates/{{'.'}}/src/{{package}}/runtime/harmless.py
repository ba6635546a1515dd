"""Texts from outside without what clients, databases and terminals choke on."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

Value = TypeVar("Value")

_BREAKS = re.compile("\r?[\x0b\x0c\x1c-\x1e\x85]")  # pages and paragraphs of documents
_HALF = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..")
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def harmless(value: Value) -> Value:
    """The same value with texts that every client and database takes.

    Half characters and control characters become U+FFFD, two halves their character, a form feed a
    line break. Tabs, line breaks and marks of the writing direction stay.
    """
    found: Any = value
    if isinstance(value, str):
        found = _harmless_text(value) if _HARMFUL.search(value) else value
    elif type(value) in (list, tuple):
        items = cast("Sequence[Any]", value)
        found = type(value)([harmless(item) for item in items])  # pyright: ignore[reportCallIssue]
    elif isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        found = {harmless(key): harmless(one) for key, one in table.items()}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: getattr(value, field.name) for field in _texts(value)}
        changed = {name: after for name, old in changed.items() if (after := harmless(old)) != old}
        found = dataclasses.replace(value, **changed) if changed else value
    return found


def without_halves(data: bytes) -> bytes:
    """JSON without escapes of half a character, for which parsers refuse the whole."""
    return _HALF.sub(rb"\\ufffd", data)


def _texts(value: Any) -> Iterator[dataclasses.Field[Any]]:
    """The fields of a dataclass that can hold texts, and that can be replaced."""
    held = (str, list, tuple, Mapping)
    for field in dataclasses.fields(value):
        one = getattr(value, field.name)
        if field.init and (isinstance(one, held) or dataclasses.is_dataclass(one)):
            yield field


def _harmless_text(text: str) -> str:
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _HARMFUL.sub("\ufffd", _BREAKS.sub("\n", joined))
