"""pyproject.toml in a merge of all files: its dependency arrays merge as sets, the rest as lines."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scaffold.merge import three_way as steps
from scaffold.merge.arrays import arrays, rewritten
from scaffold.merge.scratch import Blob, Files, Lab
from scaffold.merge.three_way import Merged

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


@dataclass(frozen=True, slots=True)
class Settled:
    """Texts for git to merge, in which the settled arrays stand as the team has them.

    `final` holds pairs: an array with its key as the team has it, and as it shall be.
    """

    before: str
    after: str
    final: Sequence[tuple[str, str]]

    def applied(self, merged: str) -> str | None:
        """What git merged, with the settled arrays in it; None where they are not to be found."""
        for ours, text in self.final:
            if merged.count(ours) != 1:
                return None
            merged = merged.replace(ours, text)
        return merged


def settle(before: str, ours: str, after: str) -> Settled:
    """Merge the arrays that both sides changed, where that needs no one to decide."""
    found = arrays(before), arrays(ours), arrays(after)
    final: list[tuple[str, str]] = []
    for name in found[0].keys() & found[1].keys() & found[2].keys():
        old, team, new = (each[name] for each in found)
        if len({old.text, team.text, new.text}) < 3:
            continue
        members = _merged(old.values, team.values, new.values)
        text = rewritten(team, old, members, new.values) if members is not None else None
        places = (before.count(old.text), ours.count(team.text), after.count(new.text))
        if text and places == (1, 1, 1):
            final.append((team.text, text))
            before = before.replace(old.text, team.text)
            after = after.replace(new.text, team.text)
    return Settled(before, after, final)


def _merged(
    before: Sequence[str], ours: Sequence[str], after: Sequence[str]
) -> Mapping[str, str | None] | None:
    """What becomes of every requirement: its text in `ours` (or its own, if new) to the new one.

    None when a requirement was changed on both sides in ways that exclude each other.
    """
    old, team, new = _named(before), _named(ours), _named(after)
    if old is None or team is None or new is None:
        return None
    result: dict[str, str | None] = {}
    for name in [*team, *(name for name in new if name not in team)]:
        there = team.get(name)
        try:
            settled = combined(old.get(name), there, new.get(name))
        except Clash:
            return None
        if there or settled:
            result[there.text if there else str(settled)] = settled
    return result


def _named(texts: Sequence[str]) -> dict[str, Requirement] | None:
    """By name; None when one is there twice, as with markers that exclude each other."""
    requirements = [parsed(text) for text in texts]
    result = {one.name: one for one in requirements if one}
    return result if len(result) == len(texts) else None


_PATH = "pyproject.toml"


def merge(
    work: Lab, around: str, before: Files, ours: Files, after: Files, names: Sequence[str]
) -> Merged:
    """Merge as steps.merge does; where both sides changed an array, settled without a conflict."""
    if settled := _settled(work, before, ours, after):
        old, new = (
            {**files, _PATH: Blob(files[_PATH].mode, work.blob(text))}
            for files, text in ((before, settled.before), (after, settled.after))
        )
        merged = steps.merge(work, around, old, ours, new, names)
        result = merged.files.get(_PATH)
        text = result and settled.applied(work.contents([result.oid])[result.oid])
        if result and text is not None:
            final = Blob(result.mode, work.blob(text))
            return _with_file(merged, final, before[_PATH], after[_PATH])
    return steps.merge(work, around, before, ours, after, names)


def _settled(work: Lab, before: Files, ours: Files, after: Files) -> Settled | None:
    versions = [files.get(_PATH) for files in (before, ours, after)]
    oids = [version.oid for version in versions if version]
    if len(set(oids)) < 3:
        return None
    known = work.contents(oids)
    settled = settle(*(known[oid] for oid in oids))
    return settled if settled.final else None


def _with_file(merged: Merged, final: Blob, before: Blob, after: Blob) -> Merged:
    """The merge with the settled file; a conflict in its other lines is one of the real versions."""
    stages = dict(merged.stages)
    if _PATH in stages:
        stages[_PATH] = {**stages[_PATH], 1: before, 3: after}
    return replace(merged, tree=None, files={**merged.files, _PATH: final}, stages=stages)
