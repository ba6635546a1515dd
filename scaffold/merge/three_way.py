"""Three merges in a row: what the template edits, what it drops, what it adds.

In one merge git would pair a dropped file with any similar new one and move the team's edits there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scaffold.merge.repository import records
from scaffold.merge.scratch import Blob, Files, Lab


def moves(
    renames: Mapping[str, str],
    before: Files,
    after: Files,
    ours: Files,
    taken: Callable[[Mapping[str, str]], Collection[str]] = lambda _: (),
) -> dict[str, str]:
    """Old to new path of every file that moves, the team's own in a moved folder included.

    A rename counts when `before` has the old path alone and `after` the new one alone. Where the
    team has a file of its own at the new path, or one is `taken` (of old to new paths) on disk,
    the template's is dropped and added instead: the team's edits stay where they are.
    """
    result: dict[str, str] = {}
    for old, new in renames.items():
        if _holds(before, old) and not _holds(after, old) and _holds(after, new):
            found = {path: _moved(path, old, new) for path in (*before, *ours) if _in(path, old)}
            result |= {path: to for path, to in found.items() if to not in before}
    free = {path: to for path, to in result.items() if to not in ours}
    barred = taken(free)
    return {path: to for path, to in free.items() if to not in barred}


def moved(files: Files, to: Mapping[str, str]) -> Files:
    """The same files at their new paths."""
    return {to.get(path, path): blob for path, blob in files.items()}


def _in(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _holds(files: Files, place: str) -> bool:
    return any(_in(path, place) for path in files)


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The render without the template's changes to team-owned files, and what was left out.

    `newer` holds the team-owned files whose seed is now another than the one the team started from.
    """

    after: Files
    newer: Files


def owned(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path is a team-owned file, lies in a team-owned folder or fits a pattern."""
    return any(
        path == pattern or path.startswith(f"{pattern.rstrip('/')}/") or fnmatchcase(path, pattern)
        for pattern in patterns
    )


def seeds(
    before: Files, after: Files, ours: Files, patterns: Sequence[str], *, follow: bool
) -> Seeds:
    """Hold back what the template changed in team-owned files, or adds where the team has one.

    A seed the template drops stays in: unedited it goes, edited it is a conflict like any other.
    With `follow` a seed that nobody edited changes too.
    """
    right, newer = dict(after), dict[str, Blob]()
    for path, blob in after.items():
        if not owned(path, patterns) or before.get(path) == blob:
            continue
        if follow and path in before and ours.get(path) == before[path]:
            continue
        if path in before:
            right[path] = before[path]
        elif path in ours:
            del right[path]
        else:
            continue
        if path in ours and ours[path] != blob:
            newer[path] = blob
    return Seeds(right, newer)


_SETTINGS = (
    "merge.renames=true",
    "merge.directoryRenames=true",
    "diff.renames=true",
)

Stages = Mapping[int, Blob]
"""A conflicted file's versions: 1 before, 2 the team's, 3 the template's."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The repository's tree after a merge, the workspace's files in it, its conflicts by path.

    `reasons` is git's word for each conflict. `tree` is None once `files` are others.
    """

    tree: str | None
    files: Files
    stages: Mapping[str, Stages]
    reasons: Mapping[str, str]


def merge(
    lab: Lab, around: str, before: Files, ours: Files, after: Files, names: Sequence[str]
) -> Merged:
    """Merge the change from `before` to `after` into `ours`. `names` label the two sides."""
    edited = {path: after.get(path, blob) for path, blob in before.items()}
    kept = {path: blob for path, blob in edited.items() if path in after}
    result = Merged(None, ours, {}, {})
    for base, theirs in ((before, edited), (edited, kept), (kept, after)):
        if base != theirs:
            result = _joined(result, _merge(lab, around, base, result.files, theirs, names))
    return result


def _joined(first: Merged, then: Merged) -> Merged:
    return Merged(
        then.tree, then.files, {**first.stages, **then.stages}, {**first.reasons, **then.reasons}
    )


def _merge(
    lab: Lab, around: str, base: Files, ours: Files, theirs: Files, names: Sequence[str]
) -> Merged:
    mine, other = names
    lab.commit(around, {"scaffold-base": base, mine: ours, other: theirs})
    told = lab.git(
        "merge-tree", "--write-tree", "-z", "--messages", mine, other,
        config=_SETTINGS, allowed=(0, 1),
    )  # fmt: skip
    tree, _, rest = told.partition("\0")
    listed, _, messages = ("\0" + rest).partition("\0\0")
    cut = len(lab.workspace.prefix)
    stages: dict[str, dict[int, Blob]] = {}
    for line in records(listed):
        facts, path = line.split("\t", 1)
        mode, oid, stage = facts.split()
        stages.setdefault(path[cut:], {})[int(stage)] = Blob(mode, oid)
    return Merged(tree, lab.workspace_files(tree), stages, _reasons(messages, cut))


def _reasons(messages: str, cut: int) -> dict[str, str]:
    """Path to git's word for its conflict: each message is a count, paths, a word and a text."""
    parts = messages.split("\0")
    reasons: dict[str, str] = {}
    at = 0
    while at < len(parts) and parts[at].isdigit():
        count = int(parts[at])
        word = parts[at + count + 1]
        if word.startswith("CONFLICT"):
            # The first word is the closer one: a binary file is told of as contents as well.
            for path in parts[at + 1 : at + 1 + count]:
                reasons.setdefault(path[cut:], word)
        at += count + 3
    return reasons
