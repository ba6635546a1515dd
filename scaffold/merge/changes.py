"""What a merge means file by file, in the words a team reads."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from scaffold.merge.protected import Obstacles
from scaffold.merge.scratch import Files
from scaffold.merge.sides import Sides
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one file.

    `path` is relative to the workspace, `was` the old path if the template moved it. `conflict`
    is one of content, binary, dropped, deleted, both-added, moved, type, in-the-way, and `advice`
    says what to do. `blob` is the template's version, for suggestions and conflicts: an object of
    the repository once the plan is applied (`git show BLOB`).
    """

    kind: ChangeKind
    path: str
    was: str | None = None
    conflict: str | None = None
    advice: str = ""
    blob: str | None = None

    @property
    def needs_person(self) -> bool:
        """Whether it needs a decision, has a newer version, or is not taken by git."""
        asks = self.kind in (ChangeKind.CONFLICT, ChangeKind.SUGGESTION)
        return asks or bool(self.kind is ChangeKind.ADDED and self.advice)

    def describe(self, *, with_blob: bool = False) -> str:
        """Return the change in one line, for a person."""
        moved = f"{self.was} → {self.path}" if self.was else self.path
        advice = _SHORT_ADVICE.get(self.kind) or self.advice
        if with_blob and self.blob and self.kind is ChangeKind.SUGGESTION:
            advice = f"{advice}: git show {self.blob[:12]}"
        return f"  {self.kind:<11} {moved}{f'  ({advice})' if advice else ''}"

    def as_json(self) -> dict[str, str | None]:
        """Return the change under the keys of `--json`."""
        return {
            "path": self.path,
            "status": str(self.kind),
            "was": self.was,
            "conflict": self.conflict,
            "advice": self.advice,
            "blob": self.blob,
        }


_KINDS_IN_ORDER = tuple(ChangeKind)
_SHORT_ADVICE = {
    ChangeKind.KEPT: "as you have it",
    ChangeKind.SUGGESTION: "yours is untouched; the template has a newer one",
}
_ADVICE = {
    "content": "both changed the same lines: edit it, then git add it",
    "binary": "both changed it and it is not text: yours is there, git checkout --theirs takes the template's",
    "dropped": "the template no longer has it, but you edited it: git add keeps it, git rm drops it",
    "deleted": "you deleted it, the template changed it: git rm leaves it out, git add takes it",
    "both-added": "both added it: edit it, then git add it",
    "moved": "both moved it: keep one place, git rm the others",
    "type": "a file here and a folder there: keep one, git rm the other",
    "in-the-way": "git does not have your file, which is untouched: git add keeps it, git checkout --theirs takes the template's",
    "behind": "you have a link or a file where the template has a folder, which is untouched: compare it with git show",
    "ignored": "git ignores your file, which is untouched: compare it with git show",
    "suggestion": "yours is untouched; the template's newer one: git show",
    "hidden": "git ignores it, so it is on disk alone; git add --force takes it in",
}

# By the stages that git leaves in the index: 1 before, 2 the team's, 3 the template's.
_KIND_OF_STAGES = {"123": "content", "12": "dropped", "13": "deleted", "23": "both-added"}
_KIND_OF_REASON = {
    "binary": "binary",
    "file/directory": "type",
    "distinct": "type",
    "rename/rename": "moved",
}


def sort_for_reading(changes: Iterable[Change]) -> list[Change]:
    """Return the changes by kind, those that may need a person last, and by path."""
    return sorted(changes, key=lambda one: (_KINDS_IN_ORDER.index(one.kind), one.path))


def count_changes(changes: Iterable[Change]) -> str:
    """Return how many files of each kind there are, in one line."""
    counts = Counter(one.kind for one in changes)
    counted = [f"{counts[kind]} {kind}" for kind in _KINDS_IN_ORDER if counts[kind]]
    return ", ".join(counted) or "no file changes"


def describe_changes(
    sides: Sides,
    merged: Merged,
    newer: Files,
    obstacles: Obstacles,
    behind: Collection[str],
) -> tuple[Change, ...]:
    """Return every file that a person may want to know about, by path.

    Args:
        sides: What was merged.
        merged: What came of it, without what is in the way.
        newer: Team-owned files of which the template has another seed.
        obstacles: What is on disk where the merge would add a file.
        behind: Files of the template's in a folder that is a link or a file on the team's side.
    """
    conflicts = {one.path: one for one in _describe_conflicts(sides, merged, obstacles)}
    conflicts |= {path: _describe_behind(sides, path) for path in behind}
    clean = [
        one
        for one in _describe_clean(sides, merged.files, obstacles)
        if one.path not in conflicts and not (one.kind is ChangeKind.KEPT and one.path in newer)
    ]
    suggestions = [
        Change(kind=ChangeKind.SUGGESTION, path=path, advice=_ADVICE["suggestion"], blob=blob.oid)
        for path, blob in newer.items()
    ]
    return tuple(sorted([*conflicts.values(), *clean, *suggestions], key=lambda one: one.path))


def _describe_conflicts(sides: Sides, merged: Merged, obstacles: Obstacles) -> Iterator[Change]:
    came_from = {new: old for old, new in sides.moves.items()}
    for path in {*merged.stages, *merged.reasons, *obstacles.taken}:
        stages = merged.stages.get(path, {})
        in_the_way = path in obstacles.taken
        kind = "in-the-way" if in_the_way else _kind_of_conflict(stages, merged.reasons.get(path))
        template = stages.get(3) or sides.after.get(path)
        blob = template.oid if template else None
        advice = _ADVICE["ignored" if path in obstacles.ignored else kind]
        if path in obstacles.ignored and blob:
            # The index does not have the template's version of an ignored file, so name its object.
            advice = f"{advice} {blob[:10]}"
        yield Change(
            kind=ChangeKind.CONFLICT,
            path=path,
            was=came_from.get(path),
            conflict=kind,
            advice=advice,
            blob=blob,
        )


def _describe_behind(sides: Sides, path: str) -> Change:
    blob = sides.after[path].oid
    advice = f"{_ADVICE['behind']} {blob[:10]}"
    return Change(kind=ChangeKind.CONFLICT, path=path, conflict="type", advice=advice, blob=blob)


def _kind_of_conflict(stages: Stages, reason: str | None) -> str:
    for word, kind in _KIND_OF_REASON.items():
        if word in (reason or ""):
            return kind
    return _KIND_OF_STAGES.get("".join(map(str, sorted(stages))), "moved")


def _describe_clean(sides: Sides, result: Files, obstacles: Obstacles) -> Iterator[Change]:
    came_from = {new: old for old, new in sides.moves.items()}
    for path in sides.ours.keys() | sides.before.keys() | result.keys():
        kind = _kind_of_change(sides, result, path, moved=path in came_from)
        hidden = kind is ChangeKind.ADDED and path in obstacles.hidden
        if kind:
            advice = _ADVICE["hidden"] if hidden else ""
            yield Change(kind=kind, path=path, was=came_from.get(path), advice=advice)


def _kind_of_change(sides: Sides, result: Files, path: str, *, moved: bool) -> ChangeKind | None:
    before, ours, now = (files.get(path) for files in (sides.before, sides.ours, result))
    if now is None:
        if ours is not None:
            return ChangeKind.REMOVED
        return ChangeKind.KEPT if path in sides.after else None
    if ours is None:
        return ChangeKind.ADDED
    if moved:
        return ChangeKind.RENAMED
    if now != ours:
        return ChangeKind.UPDATED if ours == before else ChangeKind.MERGED
    return ChangeKind.KEPT if before is not None and ours != before else None
