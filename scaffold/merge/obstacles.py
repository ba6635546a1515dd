"""What lies on the disk where a merge would put a new file: never overwritten."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold.merge.repository import Workspace, modes_count, records
from scaffold.merge.scratch import Blob, Files, Lab
from scaffold.merge.three_way import Merged

_REPOSITORY_ONLY = ("core.excludesFile=/dev/null",)


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Paths that are taken on disk, by the very same content or by others, and ignored ones.

    `hidden` are the files that a merge adds, on disk or not, and git would not add.
    """

    identical: frozenset[str]
    taken: frozenset[str]
    hidden: frozenset[str]

    @property
    def ignored(self) -> frozenset[str]:
        """Ignored files that are in the way."""
        return self.taken & self.hidden


def obstacles(lab: Lab, ours: Files, merged: Merged) -> Obstacles:
    """Look where every file that the merge has and `ours` has not would go."""
    workspace = lab.workspace
    leaving = ours.keys() - merged.files.keys()
    met = {
        path: _met(workspace, path, leaving)
        for path in merged.files.keys() | merged.stages.keys()
        if path not in ours
    }
    there = {path: place for path, place in met.items() if place}
    identical = {path for path in there if _same(lab, path, merged.files.get(path))}
    taken = (there.keys() - identical) & merged.files.keys()
    return Obstacles(
        frozenset(identical),
        frozenset(taken),
        ignored(workspace, {**{path: path for path in met}, **there}),
    )


def blocked(workspace: Workspace, paths: Iterable[str], leaving: Collection[str]) -> list[str]:
    """Those of `paths` where something lies on disk that is not among the `leaving` files."""
    return [path for path in paths if _met(workspace, path, leaving)]


def barred(workspace: Workspace, to: Mapping[str, str]) -> frozenset[str]:
    """Those new paths of renames that are taken on disk, or that git would begin to ignore."""
    there = frozenset(blocked(workspace, to.values(), to.keys()))
    hidden = ignored(workspace, {path: path for path in (*to, *to.values())})
    return there | {new for old, new in to.items() if new in hidden and old not in hidden}


def behind_files(before: Files, ours: Files, after: Files) -> dict[str, Blob | None]:
    """What the template changes in a folder for which the team has put a link or a file.

    Path to the version before, None for a new one. Nothing is written through a link.
    """
    own = ours.keys() - before.keys()
    return {
        path: before.get(path)
        for path, blob in after.items()
        if before.get(path) != blob and not own.isdisjoint(_above(path))
    }


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def without_taken(merged: Merged, met: Obstacles) -> Merged:
    """Leave out what would overwrite a file git does not have; show it as added by the template.

    An ignored file may hold a secret: not even its name goes into the index. Where there is none,
    the template's new one is written to the disk alone; one that the team does without stays away.
    """
    if not met.taken and not met.hidden:
        return merged
    out = met.taken | (met.hidden & (met.identical | merged.stages.keys()))
    files = {path: blob for path, blob in merged.files.items() if path not in out}
    added = {
        path: {3: merged.files[path]}
        for path in met.taken - met.hidden - merged.stages.keys()
        if path in merged.files
    }
    stages = {path: one for path, one in merged.stages.items() if path not in met.hidden}
    reasons = {path: one for path, one in merged.reasons.items() if path not in met.hidden}
    return Merged(None, files, {**stages, **added}, reasons)


def _met(workspace: Workspace, path: str, leaving: Collection[str]) -> str | None:
    """The path of what is in the way: a file, a folder with files, or a parent that is no folder."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        place = workspace.folder / above
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            return None if above in leaving else above
    place = workspace.folder / path
    if place.is_dir() and not place.is_symlink():
        return path if _holds_others(workspace.folder, place, leaving) else None
    if not os.path.lexists(place) or _other_spelling(workspace.folder, path, leaving):
        return None
    return path


def _other_spelling(root: Path, path: str, leaving: Collection[str]) -> bool:
    """Whether it is a file that leaves, found by another spelling: case may not count on the disk."""
    alike = [one for one in leaving if one.casefold() == path.casefold()]
    return any((root / one).exists() and (root / one).samefile(root / path) for one in alike)


def _holds_others(root: Path, folder: Path, leaving: Collection[str]) -> bool:
    inside = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return any(path.relative_to(root).as_posix() not in leaving for path in inside)


def _same(lab: Lab, path: str, blob: Blob | None) -> bool:
    place = lab.workspace.folder / path
    if blob is None or place.is_symlink() or not place.is_file():
        return False
    if blob.mode == "120000":
        return False
    runs = os.access(place, os.X_OK)
    if (blob.mode == "100755") != runs and modes_count(lab.workspace.git):
        return False
    name = lab.workspace.prefix + path
    return lab.team("hash-object", "--stdin-paths", feed=f"{name}\n") == blob.oid


def ignored(workspace: Workspace, places: Mapping[str, str]) -> frozenset[str]:
    """Those paths whose place git ignores.

    What is on disk may be hidden by the user's own list as well. That says nothing of files that
    the template brings, as in a new workspace.
    """
    there = {path for path, place in places.items() if os.path.lexists(workspace.folder / place)}
    return frozenset(
        path
        for paths, config in ((there, ()), (places.keys() - there, _REPOSITORY_ONLY))
        for path in _told_ignored(workspace, {path: places[path] for path in paths}, config)
    )


def _told_ignored(
    workspace: Workspace, places: Mapping[str, str], config: Sequence[str]
) -> Iterable[str]:
    if not places:
        return []
    # This command takes no literal paths; a leading ./ keeps it from reading :(…) as magic.
    names = {path: f"./{workspace.prefix}{place}" for path, place in places.items()}
    told = workspace.git.using(GIT_LITERAL_PATHSPECS="0")(
        "check-ignore", "-z", "--stdin", "--no-index",
        config=config, feed="".join(f"{name}\0" for name in names.values()), allowed=(0, 1),
    )  # fmt: skip
    found = set(records(told))
    return [path for path, name in names.items() if name in found]
