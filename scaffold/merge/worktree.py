"""Files and index brought from what is on disk to what is wanted, on an index of our own."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.git import GitError
from scaffold.merge.disk import clear_index, copy_index, entries, read_disk, staged_files
from scaffold.merge.lab import Blob, Files
from scaffold.merge.repository import Git
from scaffold.merge.steps import Stages
from scaffold.merge.workspace import Workspace

Versions = Mapping[str, Blob | None]
"""Path from the repository's root to a file there; None: there is none."""


def listed(workspace: Workspace, git: Git, tree: str) -> Files:
    """Return the workspace's files in a tree of the whole repository, by path from its root."""
    within = [workspace.prefix] if workspace.prefix else []
    told = git("ls-tree", "-r", "-z", "--full-tree", tree, *within)
    lines = (line.split("\t", 1) for line in told.split("\0") if line)
    return {path: Blob(*facts.split()[::2]) for facts, path in lines}


def tree_with(workspace: Workspace, git: Git, base: str, files: Versions, index: Path) -> str:
    """Return the tree `base` with other files in it; `index` is a file to work with."""
    clear_index(index)
    own = git.using(GIT_INDEX_FILE=index)
    own("read-tree", base)
    own("update-index", "-z", "--index-info", feed=entries(files.items(), workspace.hashes))
    return own("write-tree")


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch of some files, from what is on disk to what is wanted.

    Other files and other entries of the index stay as they are. git refuses, before it writes
    anything, when a file is no longer as `source` says. `staged` is what the index shall say where
    that is not what is on disk, `stages` are conflicts.
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
            self.git("read-tree", "-m", "-u", self.source, self.target)
        except GitError as error:
            if "uptodate" in str(error) or "would be overwritten" in str(error):
                raise MergeError(f"Files were changed meanwhile, run it again: {error}") from None
            raise
        feed = entries(self.staged.items(), self.workspace.hashes)
        feed += _conflicts(self.stages, self.workspace.hashes)
        self.git("update-index", "-z", "--index-info", feed=feed)
        self.index.replace(self.workspace.git_dir / "index")


@dataclass(frozen=True, slots=True)
class Look:
    """What is on disk and what the index says at some paths; the copy of the index is `git`'s."""

    workspace: Workspace
    git: Git
    folder: Path
    disk: Versions
    index: Mapping[str, Mapping[int, Blob]]

    def switch(
        self, base: str, wanted: Versions, staged: Versions, stages: Mapping[str, Stages]
    ) -> Switch:
        """Prepare a switch to other files; `base` is any tree that is like the others on disk.

        What the index says of a path that is neither in `staged` nor in `stages` stays.
        """
        kept = {path: self.index.get(path, {}) for path in self.disk.keys() - staged.keys()}
        conflicts = {path: blobs for path, blobs in self.index.items() if 0 not in blobs}
        elsewhere = {path: one for path, one in conflicts.items() if path not in self.disk}
        hidden = ((path, None) for path in elsewhere)
        self.git("update-index", "-z", "--index-info", feed=entries(hidden, self.workspace.hashes))
        scratch = self.folder / "scratch"
        after = {**self.disk, **wanted}
        said = {**{path: blobs.get(0) for path, blobs in kept.items()}, **staged}
        return Switch(
            self.workspace, self.git, self.folder / "index",
            source=tree_with(self.workspace, self.git, base, self.disk, scratch),
            target=tree_with(self.workspace, self.git, base, after, scratch),
            staged={path: blob for path, blob in said.items() if after.get(path) != blob},
            stages={
                **elsewhere,
                **{path: blobs for path, blobs in kept.items() if path in conflicts},
                **stages,
            },
        )  # fmt: skip


def look(workspace: Workspace, git: Git, folder: Path, paths: Collection[str]) -> Look:
    """Look at paths; git will notice what changes on disk from here on."""
    own = copy_index(workspace, git, folder / "index")
    index = staged_files(own)
    return Look(workspace, own, folder, read_disk(workspace, own, paths), index)


def _conflicts(stages: Mapping[str, Stages], hashes: str) -> str:
    lines = [entries(((path, None) for path in stages), hashes)]
    for path, versions in stages.items():
        lines += [f"{blob.mode} {blob.oid} {n}\t{path}\0" for n, blob in versions.items()]
    return "".join(lines)


def differing(first: Versions, *others: Versions) -> set[str]:
    """Return the paths at which others are not as the first."""
    return {
        path
        for other in others
        for path in first.keys() | other.keys()
        if first.get(path) != other.get(path)
    }


def at(paths: Iterable[str], files: Versions) -> dict[str, Blob | None]:
    """Return the versions at some paths."""
    return {path: files.get(path) for path in paths}
