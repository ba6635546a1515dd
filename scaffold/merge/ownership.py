"""Files the team owns: seeded once, their content never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scaffold.merge.lab import Blob, Files


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
