"""What lies on the disk where a merge would put a new file: never overwritten."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold.merge.lab import Blob, Files, Lab
from scaffold.merge.repository import records
from scaffold.merge.steps import Merged
from scaffold.merge.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Paths that are taken on disk: with the very same content, by others, and by ignored ones."""

    identical: frozenset[str]
    taken: frozenset[str]
    ignored: frozenset[str]


def obstacles(lab: Lab, ours: Files, result: Files) -> Obstacles:
    """Look where every file that `result` has and `ours` has not would go."""
    added = [path for path in result if path not in ours]
    leaving = ours.keys() - result.keys()
    met = {path: _met(lab.workspace, path, leaving) for path in added}
    there = [path for path, place in met.items() if place]
    identical = {path for path in there if _same(lab, path, result[path])}
    taken = [path for path in there if path not in identical]
    return Obstacles(frozenset(identical), frozenset(taken), _ignored(lab.workspace, taken, met))


def blocked(workspace: Workspace, paths: Iterable[str], leaving: Collection[str]) -> list[str]:
    """Those of `paths` where something lies on disk that is not among the `leaving` files."""
    return [path for path in paths if _met(workspace, path, leaving)]


def without_taken(merged: Merged, met: Obstacles) -> Merged:
    """Leave out what would overwrite a file git does not have; show it as added by the template.

    An ignored file may hold a secret: not even its name goes into the index.
    """
    if not met.taken:
        return merged
    files = {path: blob for path, blob in merged.files.items() if path not in met.taken}
    shown = met.taken - met.ignored - merged.stages.keys()
    added = {path: {3: merged.files[path]} for path in shown}
    return replace(merged, tree=None, files=files, stages={**merged.stages, **added})


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
    return path if os.path.lexists(place) else None


def _holds_others(root: Path, folder: Path, leaving: Collection[str]) -> bool:
    inside = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return any(path.relative_to(root).as_posix() not in leaving for path in inside)


def _same(lab: Lab, path: str, blob: Blob) -> bool:
    place = lab.workspace.folder / path
    if place.is_symlink() or not place.is_file():
        return False
    if (blob.mode == "100755") != os.access(place, os.X_OK) or blob.mode == "120000":
        return False
    name = lab.workspace.prefix + path
    return lab.team("hash-object", "--stdin-paths", feed=f"{name}\n") == blob.oid


def _ignored(workspace: Workspace, taken: list[str], met: dict[str, str | None]) -> frozenset[str]:
    if not taken:
        return frozenset()
    # This command takes no literal paths; a leading ./ keeps it from reading :(…) as magic.
    names = {path: f"./{workspace.prefix}{met[path]}" for path in taken}
    told = workspace.git.using(GIT_LITERAL_PATHSPECS="0")(
        "check-ignore", "-z", "--stdin", "--no-index",
        feed="".join(f"{name}\0" for name in names.values()), allowed=(0, 1),
    )  # fmt: skip
    ignored = set(records(told))
    return frozenset(path for path, name in names.items() if name in ignored)
