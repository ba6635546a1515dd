"""The dependency arrays of a pyproject.toml: where they are in its text, and edits in place.

An array that is not found beyond doubt is left to git: each one is compared with what tomllib reads.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*\[")
# The tables whose every array is one of requirements; of [project] only `dependencies` is.
_GROUPS = ("project.optional-dependencies", "dependency-groups")
# A literal string, a basic string, a comment, or a bracket.
_TOKEN = re.compile(r"""'[^'\n]*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*|[\[\]{}]""")


@dataclass(frozen=True, slots=True)
class Member:
    """One string of an array: its value, and where its token is in the array's text."""

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
        """The strings, in order."""
        return [member.value for member in self.members]


def find_arrays(text: str) -> dict[str, Array]:
    """Return the arrays by name, as in `dependency-groups.dev`; {} if the text is not TOML."""
    try:
        table: Any = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        return {}
    expected = _read_arrays(table)
    return {name: array for name, array in _scan(text) if array.values == expected.get(name)}


def _read_arrays(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays by name, as tomllib reads them."""
    project: Any = table.get("project", {})
    groups: dict[str, dict[str, Any]] = {
        "project": {"dependencies": project.get("dependencies")},
        "project.optional-dependencies": project.get("optional-dependencies", {}),
        "dependency-groups": cast(dict[str, Any], table.get("dependency-groups", {})),
    }
    return {f"{name}.{key}": v for name, group in groups.items() for key, v in group.items()}


def _scan(text: str) -> Iterator[tuple[str, Array]]:
    """Yield the arrays by name, as they look line by line."""
    table, at = "", 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        if header := _HEADER.match(text[at:end].rstrip()):
            table = re.sub(r"\s*\.\s*", ".", header[1])
        elif (key := _KEY.match(text, at, end)) and (
            table in _GROUPS or (table, key[1]) == ("project", "dependencies")
        ):
            array = _parse_array(text[key.start() :], key.end() - 1 - key.start())
            if array:
                yield f"{table}.{key[1]}", array
                end = key.start() + len(array.text)
        at = end


def _parse_array(text: str, opened: int) -> Array | None:
    """Return the array whose bracket opens there; None if it has anything but plain strings."""
    members: list[Member] = []
    for token in _TOKEN.finditer(text, opened + 1):
        if token[0] == "]":
            return Array(text[: token.end()], opened, tuple(members))
        # A table, such as {include-group = "x"}, is not a requirement: git merges that array.
        if token[0][0] in "[{}":
            return None
        if token[0][0] != "#":
            value = tomllib.loads(f"x = {token[0]}")["x"]
            members.append(Member(value, token.start(), token.end()))
    return None


# What follows a member on its line: a comma, and a comment.
_REST_OF_LINE = re.compile(r"[ \t]*,?[ \t]*(#[^\r\n]*)?(?=\r?\n|$)")


def rewrite_array(
    ours: Array, before: Array, become: Mapping[str, str | None], order: Sequence[str]
) -> str | None:
    """Return the text of `ours` with every member as `become` says.

    Args:
        ours: The team's array.
        before: The template's, from which the team started.
        become: What each member becomes, None for one that goes, itself for one that is new.
        order: The template's members; a new one comes after the one before it in here.

    Returns:
        The text with key and brackets, or None if a comment of the team's would go with a member.
    """
    text = ours.text
    # From the end, so that the places of earlier members stay true.
    for member in reversed(ours.members):
        wanted = become.get(member.value, member.value)
        if wanted is None:
            shorter = _remove(text, member, before.text)
            if shorter is None:
                return None
            text = shorter
        elif wanted != member.value:
            text = text[: member.start] + _quote_like(text, member, wanted) + text[member.end :]
    for value in [name for name in become if name not in ours.values]:
        text = _insert(text, value, order[: order.index(value)])
    wanted = [value for value in become.values() if value]
    # Read again, so that an edit which went wrong is left to git.
    array = _parse_array(text, text.index("["))
    return text if array and sorted(array.values) == sorted(wanted) else None


def _insert(text: str, value: str, earlier: Sequence[str]) -> str:
    array = _parse_array(text, text.index("["))
    assert array is not None
    by_value = {member.value: member for member in array.members}
    after = next((by_value[name] for name in reversed(earlier) if name in by_value), None)
    line = "\r\n" if "\r\n" in text else "\n"
    has_lines = re.match(r"\s*(?:#[^\n]*)?\r?\n", text[array.opened + 1 :])
    if after is None:
        end = array.opened + 1
        rest = f'"{value}",' if has_lines else f'"{value}"{", " if array.members else ""}'
        return f"{text[:end]}{line + _find_indent(array) if has_lines else ''}{rest}{text[end:]}"
    comma = re.compile(r"[ \t]*,").match(text, after.end)
    end = comma.end() if comma else after.end
    rest = _REST_OF_LINE.match(text, end)
    head = text[:end] + ("" if comma else ",")
    if has_lines and rest:
        return f'{head}{rest[0]}{line}{_find_indent(array)}"{value}",{text[rest.end() :]}'
    return f'{head} "{value}"{"," if comma else ""}{text[end:]}'


def _find_indent(array: Array) -> str:
    for member in array.members:
        before = array.text[: member.start].rpartition("\n")[2]
        if before.strip() == "":
            return before
    return "    "


def _remove(text: str, member: Member, before: str) -> str | None:
    """Return the text without a member, None if a comment went that `before` does not have."""
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


def _quote_like(text: str, member: Member, value: str) -> str:
    """Return a value with the quotes that a member has."""
    quote = text[member.start]
    return f"{quote}{value}{quote}" if quote not in value else f'"{value}"'
