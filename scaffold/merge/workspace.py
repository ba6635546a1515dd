"""A workspace in its git repository: where it lies, and whether it can be merged into."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace's folder, and what git calls its places.

    `top` is the work tree's root and `prefix` the workspace's folder in it, "" or ending in "/".
    `git_dir` is this work tree's own (a linked work tree has one), `objects` the repository's.
    `head` is the commit checked out, or None before the first one.
    """

    folder: Path
    top: Path
    prefix: str
    git_dir: Path
    objects: Path
    head: str | None


def locate(folder: Path) -> Workspace:
    """Find the repository of a workspace's folder.

    Raises ToolError without git 2.38 or newer, MergeError when the folder is in no work tree.
    """
    raise NotImplementedError


def require_ready(workspace: Workspace, *, autostash: bool = False) -> None:
    """Raise MergeError unless an update may start here.

    Refused: a merge, rebase or the like under way; an update of ours that is unfinished or not yet
    committed; conflicts; files git does not have; uncommitted changes, unless `autostash`.
    """
    raise NotImplementedError


def uncommitted(workspace: Workspace) -> list[str]:
    """The workspace's tracked files that differ from the last commit, sorted; untracked ones are not in it."""
    raise NotImplementedError
