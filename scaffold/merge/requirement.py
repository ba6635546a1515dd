"""One dependency of a pyproject.toml, and the merge of three versions of it."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(\s*\[[^\]]*\])?(.*)", re.DOTALL)


class Clash(Exception):
    """Two changes of one requirement that exclude each other: for a person to decide."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement's text and parts: normalised name, extras, and version, URL and marker."""

    text: str
    name: str
    extras: tuple[str, ...]
    rest: str


def parsed(text: str) -> Requirement | None:
    """A requirement (PEP 508); None when it has no name."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    name = re.sub(r"[-_.]+", "-", form[1]).lower()
    inside = (form[2] or "").strip().strip("[]")
    extras = tuple(word for part in inside.split(",") if (word := part.strip()))
    return Requirement(text, name, extras, form[3].strip())


def combined(
    before: Requirement | None, ours: Requirement | None, after: Requirement | None
) -> str | None:
    """The text that holds both changes; None when the requirement goes. Raises Clash."""
    if ours in (before, after):
        return after.text if after else None
    if after == before:
        return ours.text if ours else None
    if ours is None or after is None:
        raise Clash
    known = before or Requirement("", ours.name, (), "")
    if ours.rest == after.rest or after.rest == known.rest:
        return _with_extras(ours.text, _extras(known, ours, after))
    if before is not None and ours.rest == known.rest:
        return _with_extras(after.text, _extras(known, ours, after))
    raise Clash


def _extras(before: Requirement, ours: Requirement, after: Requirement) -> list[str]:
    dropped = set(before.extras) - set(after.extras)
    kept = [extra for extra in ours.extras if extra not in dropped]
    added = set(after.extras) - set(before.extras) - set(ours.extras)
    if list(ours.extras) == sorted(ours.extras):
        return sorted([*kept, *added])
    return [*kept, *sorted(added)]


def _with_extras(text: str, extras: list[str]) -> str:
    form = _FORM.fullmatch(text)
    assert form is not None
    return f"{form[1]}[{','.join(extras)}]{form[3]}" if extras else f"{form[1]}{form[3]}"
