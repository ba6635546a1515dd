"""What a merge means file by file, in the words a team reads."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from scaffold.merge.obstacles import Obstacles
from scaffold.merge.scratch import Files
from scaffold.merge.three_way import Merged, Stages


class ChangeKind(StrEnum):
    """What happens to a file. Only `conflict` and `suggestion` ask for a person."""

    UPDATED = "updated"  # the team had not edited it: it is now as the template has it
    MERGED = "merged"  # both changed it: both changes are in it
    CONFLICT = "conflict"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"  # `was` is its old path
    KEPT = "kept"  # the team changed or deleted it, and it stays so
    SUGGESTION = "suggestion"  # team-owned: unchanged, the template has a newer seed


@dataclass(frozen=True, slots=True)
class Change:
    """One file: relative path, old path if the template moved it, for a conflict kind and advice.

    `conflict` is one of content, binary, dropped, deleted, both-added, moved, type, in-the-way.
    `blob` is the template's version as an object of the repository once the plan is applied
    (`git show BLOB`), for suggestions and conflicts.
    """

    kind: ChangeKind
    path: str
    was: str | None = None
    conflict: str | None = None
    advice: str = ""
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """The workspace's files on all sides; `ours` and `before` at the paths of declared renames.

    `there` are the team's files at the paths they have today, `moves` old to new path.
    """

    there: Files
    before: Files
    ours: Files
    after: Files
    result: Files
    moves: Mapping[str, str]


_ADVICE = {
    "content": "both changed the same lines: edit it, then git add it",
    "binary": "both changed it and it is not text: yours is there, git checkout --theirs takes the template's",
    "dropped": "the template no longer has it, but you edited it: git add keeps it, git rm drops it",
    "deleted": "you deleted it, the template changed it: git rm leaves it out, git add takes it",
    "both-added": "both added it: edit it, then git add it",
    "moved": "both moved it: keep one place, git rm the others",
    "type": "a file here and a folder there: keep one, git rm the other",
    "in-the-way": "git does not have your file, which is untouched: git add keeps it, git checkout --theirs takes the template's",
    "apart": "you have a link or a file where the template has a folder, which is untouched: compare it with git show",
    "ignored": "git ignores your file, which is untouched: compare it with git show",
}


def classified(
    sides: Sides, merged: Merged, newer: Files, met: Obstacles, apart: Collection[str]
) -> tuple[Change, ...]:
    """Every file worth a word, by path; `apart` are those in a folder that is none."""
    conflicts = {one.path: one for one in _conflicts(sides, merged, met)}
    conflicts |= {path: _apart(sides, path) for path in apart}
    rest = [
        one
        for one in _clean(sides, met)
        if one.path not in conflicts and not (one.kind is ChangeKind.KEPT and one.path in newer)
    ]
    suggestions = [
        Change(
            ChangeKind.SUGGESTION,
            path,
            advice="yours is untouched; the template's newer one: git show",
            blob=blob.oid,
        )
        for path, blob in newer.items()
    ]
    return tuple(sorted([*conflicts.values(), *rest, *suggestions], key=lambda one: one.path))


def _conflicts(sides: Sides, merged: Merged, met: Obstacles) -> Iterator[Change]:
    came_from = {new: old for old, new in sides.moves.items()}
    for path in {*merged.stages, *merged.reasons, *met.taken}:
        stages = merged.stages.get(path, {})
        kind = "in-the-way" if path in met.taken else _conflict(stages, merged.reasons.get(path))
        template = stages.get(3) or sides.after.get(path)
        advice = _ADVICE["ignored" if path in met.ignored else kind]
        blob = template.oid if template else None
        if path in met.ignored and blob:
            advice = f"{advice} {blob[:10]}"
        was = came_from.get(path)
        yield Change(ChangeKind.CONFLICT, path, was, conflict=kind, advice=advice, blob=blob)


def _apart(sides: Sides, path: str) -> Change:
    blob = sides.after[path].oid
    advice = f"{_ADVICE['apart']} {blob[:10]}"
    return Change(ChangeKind.CONFLICT, path, conflict="type", advice=advice, blob=blob)


def _conflict(stages: Stages, reason: str | None) -> str:
    words = {
        "binary": "binary",
        "file/directory": "type",
        "distinct": "type",
        "rename/rename": "moved",
    }
    for word, kind in words.items():
        if word in (reason or ""):
            return kind
    kinds = {"123": "content", "12": "dropped", "13": "deleted", "23": "both-added"}
    return kinds.get("".join(map(str, sorted(stages))), "moved")


def _clean(sides: Sides, met: Obstacles) -> Iterator[Change]:
    came_from = {new: old for old, new in sides.moves.items()}
    gone = sides.ours.keys() - sides.result.keys()
    for path in sides.result.keys() | gone | (sides.before.keys() - sides.ours.keys()):
        kind = _kind(sides, path, path in came_from)
        hidden = kind is ChangeKind.ADDED and path in met.hidden
        advice = "git ignores it, so it is on disk alone; git add --force takes it in"
        if kind:
            yield Change(kind, path, was=came_from.get(path), advice=advice if hidden else "")


def _kind(sides: Sides, path: str, moved: bool) -> ChangeKind | None:
    ours, result, before = (files.get(path) for files in (sides.ours, sides.result, sides.before))
    if result is None:
        if ours is not None:
            return ChangeKind.REMOVED
        return ChangeKind.KEPT if path in sides.after else None
    if ours is None:
        return ChangeKind.ADDED
    if moved:
        return ChangeKind.RENAMED
    if result != ours:
        return ChangeKind.UPDATED if ours == before else ChangeKind.MERGED
    return ChangeKind.KEPT if before is not None and ours != before else None
