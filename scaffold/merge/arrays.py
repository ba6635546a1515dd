"""The dependency arrays of a pyproject.toml: where they stand in its text.

What is not found beyond doubt is left to git: every array is held against what tomllib reads.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*\[")
_GROUPS = ("project.optional-dependencies", "dependency-groups")
_TOKEN = re.compile(r"""'[^'\n]*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*|[\[\]{}]""")


@dataclass(frozen=True, slots=True)
class Member:
    """One string of an array: its value, and where its token stands in the array's text."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Array:
    """An array of strings: its text with key and brackets, and its members in order."""

    text: str
    opened: int
    members: tuple[Member, ...]

    @property
    def values(self) -> list[str]:
        return [member.value for member in self.members]


def arrays(text: str) -> dict[str, Array]:
    """`project.dependencies`, `dependency-groups.dev`, … to its array; {} when it is no TOML."""
    try:
        table: Any = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        return {}
    expected = _expected(table)
    return {name: array for name, array in _found(text) if array.values == expected.get(name)}


def array_at(text: str, opened: int) -> Array | None:
    """The array whose bracket opens there; None when it holds anything but plain strings."""
    members: list[Member] = []
    for token in _TOKEN.finditer(text, opened + 1):
        if token[0] == "]":
            return Array(text[: token.end()], opened, tuple(members))
        if token[0][0] in "[{}":
            return None
        if token[0][0] != "#":
            value = tomllib.loads(f"x = {token[0]}")["x"]
            members.append(Member(value, token.start(), token.end()))
    return None


def _expected(table: Mapping[str, Any]) -> dict[str, Any]:
    project: Any = table.get("project", {})
    groups: dict[str, dict[str, Any]] = {
        "project": {"dependencies": project.get("dependencies")},
        "project.optional-dependencies": project.get("optional-dependencies", {}),
        "dependency-groups": cast(dict[str, Any], table.get("dependency-groups", {})),
    }
    return {f"{name}.{key}": v for name, group in groups.items() for key, v in group.items()}


def _found(text: str) -> Iterator[tuple[str, Array]]:
    table, at = "", 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        if header := _HEADER.match(text[at:end].rstrip()):
            table = re.sub(r"\s*\.\s*", ".", header[1])
        elif (key := _KEY.match(text, at, end)) and (
            table in _GROUPS or (table, key[1]) == ("project", "dependencies")
        ):
            array = array_at(text[key.start() :], key.end() - 1 - key.start())
            if array:
                yield f"{table}.{key[1]}", array
                end = key.start() + len(array.text)
        at = end
