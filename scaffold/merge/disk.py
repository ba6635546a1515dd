"""What lies on the disk at paths of the repository, as git would have it."""

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.lab import Blob
from scaffold.merge.repository import Git, records
from scaffold.merge.workspace import Workspace


def copy_index(workspace: Workspace, git: Git, index: Path) -> Git:
    """Copy the index, and return a git that works on the copy."""
    clear_index(index)
    if (real := workspace.git_dir / "index").is_file():
        # With its time: by that git tells a file that was written in the same moment.
        shutil.copy2(real, index)
    return git.using(GIT_INDEX_FILE=index)


def clear_index(index: Path) -> None:
    """Remove an index of ours, and the lock that a killed git left."""
    for left in (index, index.with_name(f"{index.name}.lock")):
        left.unlink(missing_ok=True)


def read_disk(workspace: Workspace, own: Git, paths: Collection[str]) -> dict[str, Blob | None]:
    """Return the file at each path, None where there is none; `own`'s index then says the same.

    Contents become objects of the repository. Raises GitError for a file that cannot be read.
    """
    there = [path for path in paths if holds_file(workspace.top, path)]
    absent = ((path, None) for path in set(paths) - {*there})
    own("update-index", "-z", "--index-info", feed=entries(absent, workspace.hashes))
    feed = "".join(f"{path}\0" for path in there)
    own("update-index", "--add", "--replace", "-z", "--stdin", feed=feed)
    listed = staged_files(own)
    return {path: listed.get(path, {}).get(0) for path in paths}


def staged_files(git: Git, *more: str) -> dict[str, dict[int, Blob]]:
    """Return what the index holds: path to stage to blob, stage 0 where there is no conflict."""
    result: dict[str, dict[int, Blob]] = {}
    for line in records(git("ls-files", "--stage", "-z", *more)):
        facts, path = line.split("\t", 1)
        mode, oid, stage = facts.split()
        result.setdefault(path, {})[int(stage)] = Blob(mode, oid)
    return result


def holds_file(top: Path, path: str) -> bool:
    """Whether a file or a link is at a path, and not behind a link."""
    place = top / path
    if _blocking_parent(top, path) is not None:
        return False
    return place.is_symlink() or place.is_file()


def in_the_way(top: Path, paths: Iterable[str]) -> set[str]:
    """Return what has to go before files can be written: links for folders, folders for files.

    Raises MergeError for what git cannot keep: a repository of its own, a socket.
    """
    found: set[str] = set()
    for path in paths:
        if (parent := _blocking_parent(top, path)) is not None:
            found.add(parent)
        elif (top / path).is_dir() and not (top / path).is_symlink():
            found |= set(_files_in(top, path))
        elif os.path.lexists(top / path) and not holds_file(top, path):
            raise MergeError(f"{top / path} is neither a file nor a link; move it away first.")
    return found


def entries(blobs: Iterable[tuple[str, Blob | None]], hashes: str) -> str:
    """Return lines for `update-index --index-info` that make an index say so of each path."""
    nothing = "0" * (64 if hashes == "sha256" else 40)
    return "".join(
        f"{blob.mode} {blob.oid} 0\t{path}\0" if blob else f"0 {nothing}\t{path}\0"
        for path, blob in blobs
    )


def _blocking_parent(top: Path, path: str) -> str | None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        place = top / above
        if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
            return above
    return None


def _files_in(top: Path, path: str) -> Iterable[str]:
    for folder, folders, files in os.walk(top / path):
        if ".git" in (*folders, *files):
            raise MergeError(f"{folder} is a repository of its own; move it away first.")
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(top).as_posix()
