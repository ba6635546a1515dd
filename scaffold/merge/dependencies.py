"""pyproject.toml in a merge of all files: its dependency arrays merge as sets, the rest as lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from packaging import requirements
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scaffold.merge.arrays import find_arrays, rewrite_array
from scaffold.merge.scratch import Blob, Files, ScratchRepository
from scaffold.merge.three_way import Merged, MergeInput, merge_three_times

_PATH = "pyproject.toml"
_UNCONSTRAINED = (SpecifierSet(), None, None)


class RequirementConflict(Exception):
    """Two changes of one requirement that exclude each other: for a person to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A requirement's text, its normalised name, and its extras in the order of the text.

    `constraint` is its version or URL, and its marker: equal ones may be written differently.
    """

    text: str
    name: str
    extras: tuple[str, ...]
    constraint: object


def parse_requirement(text: str) -> Requirement | None:
    """Return a requirement (PEP 508); None if the text is not one."""
    try:
        parsed = requirements.Requirement(text)
    except requirements.InvalidRequirement:
        return None
    _, inside, _ = _split_extras(text)
    extras = tuple(word for part in inside.split(",") if (word := part.strip()))
    constraint = (parsed.specifier, parsed.url, parsed.marker)
    name = canonicalize_name(parsed.name)
    return Requirement(text=text, name=name, extras=extras, constraint=constraint)


def _split_extras(text: str) -> tuple[str, str, str]:
    """Return a requirement's text in three: the name, the extras, and what follows them."""
    name = requirements.Requirement(text).name
    rest = text.lstrip().removeprefix(name)
    if rest.lstrip().startswith("["):
        extras, _, rest = rest.lstrip()[1:].partition("]")
        return name, extras, rest
    return name, "", rest


def combine(
    before: Requirement | None, ours: Requirement | None, after: Requirement | None
) -> str | None:
    """Return the text that has both changes; None if the requirement goes.

    Raises:
        RequirementConflict: The changes exclude each other.
    """
    # The team left it alone, or made the same change.
    if ours in (before, after):
        return after.text if after else None
    # The template left it alone.
    if after == before:
        return ours.text if ours else None
    # One side dropped what the other changed.
    if ours is None or after is None:
        raise RequirementConflict
    known = before or Requirement(text="", name=ours.name, extras=(), constraint=_UNCONSTRAINED)
    extras = _combine_extras(known.extras, ours.extras, after.extras)
    # At most one side may have changed the version: the text of that side is taken.
    if after.constraint in (ours.constraint, known.constraint):
        return _with_extras(ours.text, extras)
    if before is not None and ours.constraint == before.constraint:
        return _with_extras(after.text, extras)
    raise RequirementConflict


def _combine_extras(
    before: Sequence[str], ours: Sequence[str], after: Sequence[str]
) -> Sequence[str]:
    dropped = {*before} - {*after}
    kept = [extra for extra in ours if extra not in dropped]
    added = sorted({*after} - {*before} - {*ours})
    return sorted([*kept, *added]) if [*ours] == sorted(ours) else [*kept, *added]


def _with_extras(text: str, extras: Sequence[str]) -> str:
    # packaging can print a requirement, but not as the team spelt it.
    name, _, rest = _split_extras(text)
    return f"{name}[{','.join(extras)}]{rest}" if extras else f"{name}{rest}"


@dataclass(frozen=True, slots=True)
class SettledTexts:
    """Texts for git to merge, in which the settled arrays are as the team has them.

    `final` has pairs: an array with its key as the team has it, and as it shall be.
    """

    before: str
    after: str
    final: Sequence[tuple[str, str]]

    def put_into(self, merged: str) -> str | None:
        """Return what git merged with the settled arrays in it; None if it does not have them."""
        for ours, text in self.final:
            if merged.count(ours) != 1:
                return None
            merged = merged.replace(ours, text)
        return merged


def settle_arrays(before: str, ours: str, after: str) -> SettledTexts:
    """Merge the arrays that both sides changed, where nobody has to decide."""
    found = find_arrays(before), find_arrays(ours), find_arrays(after)
    final: list[tuple[str, str]] = []
    for name in found[0].keys() & found[1].keys() & found[2].keys():
        old, team, new = (arrays[name] for arrays in found)
        # Two that are alike: one side left the array alone, and a line merge gets it right.
        if len({old.text, team.text, new.text}) < 3:
            continue
        members = _merge_members(old.values, team.values, new.values)
        text = rewrite_array(team, old, members, new.values) if members is not None else None
        # Text that is there twice cannot be replaced without doubt.
        places = (before.count(old.text), ours.count(team.text), after.count(new.text))
        if text and places == (1, 1, 1):
            final.append((team.text, text))
            before = before.replace(old.text, team.text)
            after = after.replace(new.text, team.text)
    return SettledTexts(before, after, final)


def _merge_members(
    before: Sequence[str], ours: Sequence[str], after: Sequence[str]
) -> Mapping[str, str | None] | None:
    """Return what each requirement becomes: its text in `ours` (or its own, if new) to the new one.

    None if a requirement was changed on both sides in ways that exclude each other.
    """
    old, team, new = _by_name(before), _by_name(ours), _by_name(after)
    if old is None or team is None or new is None:
        return None
    become: dict[str, str | None] = {}
    for name in [*team, *(name for name in new if name not in team)]:
        there = team.get(name)
        try:
            text = combine(old.get(name), there, new.get(name))
        except RequirementConflict:
            return None
        if there or text:
            become[there.text if there else str(text)] = text
    return become


def _by_name(texts: Sequence[str]) -> dict[str, Requirement] | None:
    """Return requirements by name; None if one is there twice, as with two markers."""
    parsed = [parse_requirement(text) for text in texts]
    result = {one.name: one for one in parsed if one}
    return result if len(result) == len(texts) else None


def merge_files(scratch: ScratchRepository, inputs: MergeInput) -> Merged:
    """Merge three times; where both sides changed an array, merge that as a set instead."""
    settled = _settle(scratch, inputs)
    if settled is None:
        return merge_three_times(scratch, inputs)
    before, after = inputs.before[_PATH], inputs.after[_PATH]
    merged = merge_three_times(
        scratch,
        replace(
            inputs,
            before=_with_text(scratch, inputs.before, settled.before),
            after=_with_text(scratch, inputs.after, settled.after),
        ),
    )
    result = merged.files.get(_PATH)
    text = result and settled.put_into(scratch.read_blobs([result.oid])[result.oid])
    if not result or text is None:
        return merge_three_times(scratch, inputs)
    stages = dict(merged.stages)
    if _PATH in stages:
        # A conflict in other lines is one of the real versions.
        stages[_PATH] = {**stages[_PATH], 1: before, 3: after}
    return replace(merged, tree=None, files=_with_text(scratch, merged.files, text), stages=stages)


def _settle(scratch: ScratchRepository, inputs: MergeInput) -> SettledTexts | None:
    versions = [files.get(_PATH) for files in (inputs.before, inputs.ours, inputs.after)]
    oids = [version.oid for version in versions if version]
    # One side left the file alone, or both made the same change.
    if len(set(oids)) < 3:
        return None
    contents = scratch.read_blobs(oids)
    settled = settle_arrays(*(contents[oid] for oid in oids))
    return settled if settled.final else None


def _with_text(scratch: ScratchRepository, files: Files, text: str) -> Files:
    return {**files, _PATH: Blob(files[_PATH].mode, scratch.write_blob(text))}
