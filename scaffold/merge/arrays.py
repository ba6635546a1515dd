"""The dependency arrays of a pyproject.toml: where they stand in its text.

What is not found beyond doubt is left to git: every array is held against what tomllib reads.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
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


_REST_OF_LINE = re.compile(r"[ \t]*,?[ \t]*(#[^\r\n]*)?(?=\r?\n|$)")


def rewritten(
    ours: Array, before: Array, become: Mapping[str, str | None], order: Sequence[str]
) -> str | None:
    """The text of `ours` with every member as `become` says, and those it lacks added.

    New ones come after the one before them in `order`. None when a comment of the team's would go.
    """
    text = ours.text
    for member in reversed(ours.members):
        wanted = become.get(member.value, member.value)
        if wanted is None:
            shorter = _without(text, member, before.text)
            if shorter is None:
                return None
            text = shorter
        elif wanted != member.value:
            text = text[: member.start] + _token(text, member, wanted) + text[member.end :]
    there = set(ours.values)
    for value in (name for name in become if name not in there):
        text = _with(text, value, order[: order.index(value)])
    wanted = [value for value in become.values() if value]
    array = array_at(text, text.index("["))
    return text if array and sorted(array.values) == sorted(wanted) else None


def _with(text: str, value: str, earlier: Sequence[str]) -> str:
    array = array_at(text, text.index("["))
    assert array is not None
    by_value = {member.value: member for member in array.members}
    after = next((by_value[name] for name in reversed(earlier) if name in by_value), None)
    line = "\r\n" if "\r\n" in text else "\n"
    broken = re.match(r"\s*(?:#[^\n]*)?\r?\n", text[array.opened + 1 :])
    if after is None:
        end = array.opened + 1
        rest = f'"{value}",' if broken else f'"{value}"{", " if array.members else ""}'
        return f"{text[:end]}{line + _indent(array) if broken else ''}{rest}{text[end:]}"
    comma = re.compile(r"[ \t]*,").match(text, after.end)
    end = comma.end() if comma else after.end
    rest = _REST_OF_LINE.match(text, end)
    head = text[:end] + ("" if comma else ",")
    if broken and rest:
        return f'{head}{rest[0]}{line}{_indent(array)}"{value}",{text[rest.end() :]}'
    return f'{head} "{value}"{"," if comma else ""}{text[end:]}'


def _indent(array: Array) -> str:
    for member in array.members:
        before = array.text[: member.start].rpartition("\n")[2]
        if before.strip() == "":
            return before
    return "    "


def _without(text: str, member: Member, before: str) -> str | None:
    rest = _REST_OF_LINE.match(text, member.end)
    start = text.rfind("\n", 0, member.start) + 1
    if rest and rest[1] and rest[1] not in before:
        return None
    if rest and start and text[start : member.start].strip() == "":
        return text[:start] + text[rest.end() :].removeprefix("\r").removeprefix("\n")
    comma = re.compile(r"[ \t]*,[ \t]*").match(text, member.end)
    if comma:
        return text[: member.start] + text[comma.end() :]
    return re.sub(r",?[ \t]*$", "", text[: member.start]) + text[member.end :]


def _token(text: str, member: Member, value: str) -> str:
    quote = text[member.start]
    return f"{quote}{value}{quote}" if quote not in value else f'"{value}"'
