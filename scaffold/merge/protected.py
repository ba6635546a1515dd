"""What a merge must not write over: team-owned files, what is behind a link, files git lacks.

A team-owned file comes from the template once, as a seed, and is the team's from then on.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from scaffold.merge.repository import Workspace, split_records, tracks_modes
from scaffold.merge.scratch import Blob, Files, ScratchRepository
from scaffold.merge.sides import Sides, is_within
from scaffold.merge.three_way import Merged
from scaffold.merge.worktree import find_blocking_parent, list_parents

_REPOSITORY_ONLY = ("core.excludesFile=/dev/null",)


@dataclass(frozen=True, slots=True)
class TeamOwnedSplit:
    """The render without the template's changes to team-owned files, and what was left out.

    `newer` has the team-owned files whose seed differs from the one that the team started from.
    """

    after: Files
    newer: Files


def split_team_owned(sides: Sides, patterns: Sequence[str], *, follow: bool) -> TeamOwnedSplit:
    """Hold back what the template changes in team-owned files, or adds where the team has one.

    A seed the template drops stays in: unedited it goes, edited it is a conflict like any other.
    With `follow` a seed that nobody edited changes too.
    """
    before, ours = sides.before, sides.ours
    after, newer = dict(sides.after), dict[str, Blob]()
    for path, blob in sides.after.items():
        if not is_team_owned(path, patterns) or before.get(path) == blob:
            continue
        # The team itself changed an answer, and never touched the seed.
        if follow and path in before and ours.get(path) == before[path]:
            continue
        # As if the template had not changed it: the merge leaves the team's file alone.
        if path in before:
            after[path] = before[path]
        # The team has a file of its own where the template's seed would go.
        elif path in ours:
            del after[path]
        else:
            continue
        if path in ours and ours[path] != blob:
            newer[path] = blob
    return TeamOwnedSplit(after, newer)


def is_team_owned(path: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path is a team-owned file, is in a team-owned folder or fits a pattern."""
    return any(
        is_within(path, pattern.rstrip("/")) or fnmatchcase(path, pattern) for pattern in patterns
    )


def find_behind_files(sides: Sides, after: Files) -> dict[str, Blob | None]:
    """Find what the template changes in a folder where the team has put a link or a file.

    Return each path's version before, None for a new one. Nothing is written through a link.
    """
    # What the team added: a link or a file there stands where the template has a folder.
    own = sides.ours.keys() - sides.before.keys()
    return {
        path: sides.before.get(path)
        for path, blob in after.items()
        if sides.before.get(path) != blob and not own.isdisjoint(list_parents(path))
    }


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What is on disk where a merge would add a file.

    `identical` files have the very same content, `taken` paths another. `hidden` are the files
    that a merge adds, on disk or not, and that git ignores.
    """

    identical: frozenset[str]
    taken: frozenset[str]
    hidden: frozenset[str]

    @property
    def ignored(self) -> frozenset[str]:
        """Ignored files that are in the way."""
        return self.taken & self.hidden


def find_obstacles(scratch: ScratchRepository, today: Files, merged: Merged) -> Obstacles:
    """Look on the disk where every file would go that the merge adds to those of `today`."""
    workspace = scratch.workspace
    # What the merge itself takes away is not in the way of what it brings.
    leaving = today.keys() - merged.files.keys()
    added = (merged.files.keys() | merged.stages.keys()) - today.keys()
    met = {path: _find_obstacle(workspace, path, leaving) for path in added}
    blocked = {path: place for path, place in met.items() if place}
    identical = {path for path in blocked if _is_same(scratch, path, merged.files.get(path))}
    taken = (blocked.keys() - identical) & merged.files.keys()
    return Obstacles(
        frozenset(identical),
        frozenset(taken),
        find_ignored(workspace, {**{path: path for path in met}, **blocked}),
    )


def find_blocked(workspace: Workspace, paths: Iterable[str], leaving: Collection[str]) -> list[str]:
    """Return those of `paths` where something is on disk that is not among the `leaving` files."""
    return [path for path in paths if _find_obstacle(workspace, path, leaving)]


def find_barred(workspace: Workspace, moves: Mapping[str, str]) -> frozenset[str]:
    """Return the new paths of renames that are taken on disk, or that git would begin to ignore."""
    taken = frozenset(find_blocked(workspace, moves.values(), moves.keys()))
    hidden = find_ignored(workspace, {path: path for path in (*moves, *moves.values())})
    return taken | {new for old, new in moves.items() if new in hidden and old not in hidden}


def leave_out(merged: Merged, obstacles: Obstacles) -> Merged:
    """Leave out what would write over a file git does not have; show it as added by the template.

    An ignored file may hold a secret: not even its name goes into the index. Where there is none,
    the template's new one is written to the disk alone; one that the team does without stays away.
    """
    taken, hidden = obstacles.taken, obstacles.hidden
    if not taken and not hidden:
        return merged
    out = taken | (hidden & (obstacles.identical | merged.stages.keys()))
    added = {
        path: {3: merged.files[path]}
        for path in taken - hidden - merged.stages.keys()
        if path in merged.files
    }
    stages = {path: versions for path, versions in merged.stages.items() if path not in hidden}
    return Merged(
        tree=None,
        files={path: blob for path, blob in merged.files.items() if path not in out},
        stages={**stages, **added},
        reasons={path: word for path, word in merged.reasons.items() if path not in hidden},
    )


def _find_obstacle(workspace: Workspace, path: str, leaving: Collection[str]) -> str | None:
    """Return what is in the way: a file, a folder with files, or a parent that is not a folder."""
    if (above := find_blocking_parent(workspace.folder, path)) is not None:
        return None if above in leaving else above
    place = workspace.folder / path
    if place.is_dir() and not place.is_symlink():
        return path if _has_other_files(workspace.folder, place, leaving) else None
    if not os.path.lexists(place) or _is_other_spelling(workspace.folder, path, leaving):
        return None
    return path


def _is_other_spelling(root: Path, path: str, leaving: Collection[str]) -> bool:
    """Tell whether a path is another spelling of a file that leaves: case may not count on disk."""
    alike = [one for one in leaving if one.casefold() == path.casefold()]
    return any((root / one).exists() and (root / one).samefile(root / path) for one in alike)


def _has_other_files(root: Path, folder: Path, leaving: Collection[str]) -> bool:
    inside = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return any(path.relative_to(root).as_posix() not in leaving for path in inside)


def _is_same(scratch: ScratchRepository, path: str, blob: Blob | None) -> bool:
    workspace = scratch.workspace
    place = workspace.folder / path
    if blob is None or place.is_symlink() or not place.is_file() or blob.mode == "120000":
        return False
    runs = os.access(place, os.X_OK)
    if (blob.mode == "100755") != runs and tracks_modes(workspace.git):
        return False
    name = workspace.prefix + path
    return scratch.team("hash-object", "--stdin-paths", feed=f"{name}\n") == blob.oid


def find_ignored(workspace: Workspace, places: Mapping[str, str]) -> frozenset[str]:
    """Return those paths whose place git ignores.

    What is on disk may be hidden by the user's own list as well. That says nothing of files that
    the template brings, as in a new workspace.
    """
    there = {path for path, place in places.items() if os.path.lexists(workspace.folder / place)}
    return frozenset(
        path
        # Two questions, because the settings of one command are the same for all of its paths.
        for paths, config in ((there, ()), (places.keys() - there, _REPOSITORY_ONLY))
        for path in _ask_ignored(workspace, {path: places[path] for path in paths}, config)
    )


def _ask_ignored(
    workspace: Workspace, places: Mapping[str, str], config: Sequence[str]
) -> Iterable[str]:
    if not places:
        return []
    # This command takes no literal paths; a leading ./ keeps it from reading :(…) as magic.
    names = {path: f"./{workspace.prefix}{place}" for path, place in places.items()}
    printed = workspace.git.with_variables(GIT_LITERAL_PATHSPECS="0")(
        "check-ignore", "-z", "--stdin", "--no-index",
        config=config, feed="".join(f"{name}\0" for name in names.values()), allowed=(0, 1),
    )  # fmt: skip
    found = set(split_records(printed))
    return [path for path, name in names.items() if name in found]
