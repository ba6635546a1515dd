"""Files and index brought from what is on disk to what is wanted, on an index of our own."""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.repository import Git, Workspace
from scaffold.merge.scratch import Blob, Files, parse_index, parse_tree
from scaffold.merge.three_way import Stages
from scaffold.system.git import GitError

Versions = Mapping[str, Blob | None]
"""Path from the repository's root to the file there; None where there is not one."""


def copy_index(workspace: Workspace, git: Git, index: Path) -> Git:
    """Copy the index, and return a git that works on the copy."""
    clear_index(index)
    if (real := workspace.git_dir / "index").is_file():
        # With its time: by that git recognises a file that was written in the same moment.
        shutil.copy2(real, index)
    return git.with_variables(GIT_INDEX_FILE=index)


def clear_index(index: Path) -> None:
    """Remove an index of ours, and the lock that a killed git left."""
    for left in (index, index.with_name(f"{index.name}.lock")):
        left.unlink(missing_ok=True)


def read_disk(workspace: Workspace, own: Git, paths: Collection[str]) -> dict[str, Blob | None]:
    """Return the file at each path, None where there is not one; the index of `own` then agrees.

    Contents become objects of the repository. Raises GitError for a file that cannot be read.
    """
    there = [path for path in paths if is_file(workspace.top, path)]
    # Their entries go first: the index may still have a file that is gone from the disk.
    absent = ((path, None) for path in set(paths) - {*there})
    own("update-index", "-z", "--index-info", feed=format_entries(absent, workspace.hashes))
    feed = "".join(f"{path}\0" for path in there)
    own("update-index", "--add", "--replace", "-z", "--stdin", feed=feed)
    entries = read_index(own)
    return {path: entries.get(path, {}).get(0) for path in paths}


def read_index(git: Git) -> dict[str, dict[int, Blob]]:
    """Return the index: path to stage to blob, stage 0 where there is not a conflict."""
    return parse_index(git("ls-files", "--stage", "-z"))


def is_file(top: Path, path: str) -> bool:
    """Tell whether a file or a link is at a path, and not behind a link."""
    place = top / path
    if find_blocking_parent(top, path) is not None:
        return False
    return place.is_symlink() or place.is_file()


def find_in_the_way(top: Path, paths: Iterable[str]) -> set[str]:
    """Return what has to go before files can be written: links for folders, folders for files.

    Raises MergeError for what git cannot keep: a repository of its own, a socket.
    """
    found: set[str] = set()
    for path in paths:
        if (parent := find_blocking_parent(top, path)) is not None:
            found.add(parent)
        elif (top / path).is_dir() and not (top / path).is_symlink():
            found |= set(_list_folder(top, path))
        elif os.path.lexists(top / path) and not is_file(top, path):
            raise MergeError(f"{top / path} is neither a file nor a link; move it away first.")
    return found


def format_entries(blobs: Iterable[tuple[str, Blob | None]], hashes: str) -> str:
    """Return lines for `update-index --index-info` that set or remove each path's entry."""
    # git takes a removal only with an object name of the right length.
    nothing = "0" * (64 if hashes == "sha256" else 40)
    return "".join(
        f"{blob.mode} {blob.oid} 0\t{path}\0" if blob else f"0 {nothing}\t{path}\0"
        for path, blob in blobs
    )


def _format_conflicts(stages: Mapping[str, Stages], hashes: str) -> str:
    lines = [format_entries(((path, None) for path in stages), hashes)]
    for path, versions in stages.items():
        lines += [f"{blob.mode} {blob.oid} {n}\t{path}\0" for n, blob in versions.items()]
    return "".join(lines)


def list_parents(path: str) -> list[str]:
    """Return the folders that a path is in, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def find_blocking_parent(top: Path, path: str) -> str | None:
    """Return the outermost parent of a path that is there and is a link or not a folder."""
    for above in list_parents(path):
        place = top / above
        if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
            return above
    return None


def _list_folder(top: Path, path: str) -> Iterable[str]:
    for folder, folders, files in os.walk(top / path):
        if ".git" in (*folders, *files):
            raise MergeError(f"{folder} is a repository of its own; move it away first.")
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(top).as_posix()


def list_tree(workspace: Workspace, git: Git, tree: str) -> Files:
    """Return the workspace's files in a tree of the whole repository, by path from its root."""
    within = [workspace.prefix] if workspace.prefix else []
    return parse_tree(git("ls-tree", "-r", "-z", "--full-tree", tree, *within))


def write_tree(workspace: Workspace, git: Git, base: str, files: Versions, index: Path) -> str:
    """Return the tree `base` with other files in it; `index` is a file to work with."""
    clear_index(index)
    own = git.with_variables(GIT_INDEX_FILE=index)
    own("read-tree", base)
    own("update-index", "-z", "--index-info", feed=format_entries(files.items(), workspace.hashes))
    return own("write-tree")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A switch of some files, from what is on disk to what is wanted.

    Other files and other entries of the index stay as they are. git refuses, before it writes
    anything, when a file is not as `source` says any more. `staged` is what the index shall say
    where that differs from what is on disk, `stages` are conflicts.
    """

    workspace: Workspace
    git: Git
    index: Path
    source: str
    target: str
    staged: Versions
    stages: Mapping[str, Stages]

    def run(self) -> None:
        """Write the files, then replace the index in one step. Raises GitError, MergeError."""
        try:
            # git writes the paths in which the two trees differ, and nothing at all if one of them
            # is not as the first tree says, in the index or on disk.
            self.git("read-tree", "-m", "-u", self.source, self.target)
        except GitError as error:
            if "uptodate" in str(error) or "would be overwritten" in str(error):
                raise MergeError(f"Files were changed meanwhile ({error}); run it again.") from None
            raise
        feed = format_entries(self.staged.items(), self.workspace.hashes)
        feed += _format_conflicts(self.stages, self.workspace.hashes)
        self.git("update-index", "-z", "--index-info", feed=feed)
        # Renamed, so that a kill leaves the old index or the new one.
        self.index.replace(self.workspace.git_dir / "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is on disk and what the index says at some paths; `git` works on a copy of the index."""

    workspace: Workspace
    git: Git
    folder: Path
    disk: Versions
    index: Mapping[str, Mapping[int, Blob]]

    def prepare_switch(
        self, base: str, wanted: Versions, staged: Versions, stages: Mapping[str, Stages]
    ) -> Switch:
        """Prepare a switch to other files.

        What the index says of a path that is neither in `staged` nor in `stages` stays.

        Args:
            base: Any tree; the source and the target of the switch are the same outside `disk`.
            wanted: What shall be on disk.
            staged: What the index shall say.
            stages: Conflicts that the index shall have.
        """
        kept = {path: self.index.get(path, {}) for path in self.disk.keys() - staged.keys()}
        conflicts = {path: blobs for path, blobs in self.index.items() if 0 not in blobs}
        elsewhere = {path: blobs for path, blobs in conflicts.items() if path not in self.disk}
        # git refuses to switch with conflicts in the index: they are put back afterwards.
        hidden = format_entries(((path, None) for path in elsewhere), self.workspace.hashes)
        self.git("update-index", "-z", "--index-info", feed=hidden)
        scratch = self.folder / "scratch"
        after = {**self.disk, **wanted}
        entries = {**{path: blobs.get(0) for path, blobs in kept.items()}, **staged}
        kept_conflicts = {path: blobs for path, blobs in kept.items() if path in conflicts}
        return Switch(
            workspace=self.workspace,
            git=self.git,
            index=self.folder / "index",
            source=write_tree(self.workspace, self.git, base, self.disk, scratch),
            target=write_tree(self.workspace, self.git, base, after, scratch),
            staged={path: blob for path, blob in entries.items() if after.get(path) != blob},
            stages={**elsewhere, **kept_conflicts, **stages},
        )


def take_snapshot(workspace: Workspace, git: Git, folder: Path, paths: Collection[str]) -> Snapshot:
    """Look at paths; git will notice what changes on disk from here on."""
    own = copy_index(workspace, git, folder / "index")
    index = read_index(own)
    disk = read_disk(workspace, own, paths)
    return Snapshot(workspace=workspace, git=own, folder=folder, disk=disk, index=index)


def find_differing(first: Versions, *others: Versions) -> set[str]:
    """Return the paths at which any of the others differs from the first."""
    return {
        path
        for other in others
        for path in first.keys() | other.keys()
        if first.get(path) != other.get(path)
    }


def select(paths: Iterable[str], files: Versions) -> dict[str, Blob | None]:
    """Return the versions at some paths."""
    return {path: files.get(path) for path in paths}
