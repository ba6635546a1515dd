"""Edits of a dependency array in its text: the team's comments, order and formatting stay."""

import re
from collections.abc import Mapping, Sequence

from scaffold.merge.arrays import Array, Member, array_at

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
