"""Dependency arrays merge as sets of requirements, not as lines.

A team's own dependency and one that the template adds beside it are no conflict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaffold.merge.array_edits import rewritten
from scaffold.merge.arrays import arrays
from scaffold.merge.requirement import Clash, Requirement, combined, parsed


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
