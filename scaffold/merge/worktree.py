"""Work tree and index taken from one tree to another by git, on an index of our own."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.merge.lab import Blob
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace


def changed(git: Git, before: str, after: str) -> dict[str, tuple[Blob | None, Blob | None]]:
    """Every path that two trees of the whole repository do not share."""
    told = git("diff-tree", "-r", "-z", "--no-renames", "--raw", before, after).split("\0")
    result: dict[str, tuple[Blob | None, Blob | None]] = {}
    for facts, path in zip(told[0::2], told[1::2], strict=False):
        modes_and_names = facts.removeprefix(":").split()
        old_mode, new_mode, old, new = modes_and_names[:4]
        result[path] = (
            Blob(old_mode, old) if old_mode != "000000" else None,
            Blob(new_mode, new) if new_mode != "000000" else None,
        )
    return result


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch between two trees, worked out on a copy of the index.

    Only the paths in which the trees differ are looked at and written: what else is on disk or
    staged stays as it is. `index` replaces the real one when everything is on disk.
    """

    git: Git
    index: Path
    source: str
    target: str

    def rehearse(self) -> None:
        """Raise GitError when a file would be overwritten that git does not have this way."""
        self.git("read-tree", "-m", "-n", "-u", self.source, self.target)

    def run(self, *, force: bool) -> None:
        """Write the files. With `force` also over half-written ones. Raises GitError."""
        self.git("read-tree", "--reset" if force else "-m", "-u", self.source, self.target)

    def stage(self, stages: Mapping[str, Mapping[str, tuple[str, str]]]) -> None:
        """Note conflicts as git merge does: stages 1 to 3 instead of a path's only entry."""
        if stages:
            told = [_gone(stages, self.source)]
            for path, versions in stages.items():
                told += [f"{mode} {oid} {n}\t{path}\0" for n, (mode, oid) in versions.items()]
            self.git("update-index", "-z", "--index-info", feed="".join(told))

    def finish(self, workspace: Workspace) -> None:
        """Make the copy the index, in one step."""
        self.index.replace(workspace.git_dir / "index")


def switch(
    workspace: Workspace,
    git: Git,
    folder: Path,
    trees: tuple[str, str],
    *,
    identical: Iterable[str] = (),
    conflicted: Iterable[str] = (),
) -> Switch:
    """Prepare a switch from the first tree to the second.

    The copy of the index says of each differing path what the first tree says; `identical` paths,
    which are on disk without git having them, are in it as they are in the second.
    """
    source, target = trees
    index = folder / "index"
    for left in (index, index.with_name("index.lock")):
        left.unlink(missing_ok=True)
    if (workspace.git_dir / "index").is_file():
        shutil.copyfile(workspace.git_dir / "index", index)
    own = git.using(GIT_INDEX_FILE=index)
    differing = changed(git, source, target)
    told = [_gone({*differing, *conflicted}, source)]
    for path, (old, new) in differing.items():
        blob = new if path in set(identical) else old
        told += [f"{blob.mode} {blob.oid} 0\t{path}\0"] if blob else []
    own("update-index", "-z", "--index-info", feed="".join(told))
    own("update-index", "-q", "--refresh", allowed=(0, 1))
    return Switch(own, index, source, target)


def within(workspace: Workspace, git: Git, folder: Path, trees: tuple[str, str]) -> str:
    """The first tree with the workspace's folder of the second: a stash holds its neighbours too."""
    differing = changed(git, *trees)
    inside = {
        path: new for path, (_, new) in differing.items() if path.startswith(workspace.prefix)
    }
    if len(inside) == len(differing):
        return trees[1]
    own = git.using(GIT_INDEX_FILE=folder / "within")
    own("read-tree", trees[0])
    told = [_gone(inside, trees[0])]
    told += [f"{new.mode} {new.oid} 0\t{path}\0" for path, new in inside.items() if new]
    own("update-index", "-z", "--index-info", feed="".join(told))
    return own("write-tree")


def restore(
    workspace: Workspace, git: Git, folder: Path, base: str, files: str, staged: str
) -> None:
    """Put uncommitted work on top of tree `base`: files as in one tree, the index as in another."""
    ready = switch(workspace, git, folder, (base, files))
    ready.run(force=True)
    differing = {**changed(git, files, staged), **changed(git, base, staged)}
    told = [_gone(differing, base)]
    told += [f"{new.mode} {new.oid} 0\t{path}\0" for path, (_, new) in differing.items() if new]
    ready.git("update-index", "-z", "--index-info", feed="".join(told))
    ready.finish(workspace)


def _gone(paths: Iterable[str], like: str) -> str:
    # Any name of the right length will do for an entry that goes.
    return "".join(f"0 {'0' * len(like)}\t{path}\0" for path in paths)
