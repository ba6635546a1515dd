"""Uncommitted work put aside in `git stash` and put back: in one place or the other at any moment."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.git import GitError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace, uncommitted
from scaffold.merge.worktree import within


@dataclass(frozen=True, slots=True)
class Work:
    """Uncommitted work: its stash's commit, and whole trees of the files and of what was staged."""

    commit: str
    files: str
    index: str


def push(workspace: Workspace, git: Git, journal: Journal) -> Journal:
    """Put the workspace's uncommitted changes aside; the journal names the stash.

    Raises MergeError, with nothing changed, when git cannot.
    """
    if not uncommitted(workspace):
        return journal
    message = f"scaffold put uncommitted work aside ({secrets.token_hex(4)})"
    noted = journal.model_copy(update={"progress": Progress.STASHING, "stash": message})
    journals.write(workspace, noted)
    try:
        git("stash", "push", "--quiet", "--message", message, "--", workspace.pathspec)
        commit = find(git, message)
        if commit is None:
            raise GitError("git stash list does not show them")
    except GitError as error:
        journals.close(workspace)
        raise MergeError(f"The uncommitted changes cannot be stashed: {error}") from None
    return noted.model_copy(update={"work": commit})


def read(workspace: Workspace, git: Git, folder: Path, commit: str | None) -> Work | None:
    """The workspace's part of a stash; None without one, or when git has collected it."""
    if commit is None:
        return None
    try:
        asked = (f"{commit}^1^{{tree}}", f"{commit}^{{tree}}", f"{commit}^2^{{tree}}")
        base, files, index = git("rev-parse", *asked).split()
    except GitError:
        return None
    files, index = (within(workspace, git, folder, (base, tree)) for tree in (files, index))
    return Work(commit, files, index)


def onto(git: Git, head: str | None, tree: str, work: Work) -> Work | None:
    """The same work on top of another tree; None where that conflicts."""
    made = [
        git("commit-tree", one, "-p", str(head), "-m", "scaffold")
        for one in (tree, work.files, work.index)
    ]
    try:
        files, index = (
            git("merge-tree", "--write-tree", "--no-messages", made[0], commit)
            for commit in made[1:]
        )
    except GitError:
        return None
    return Work(work.commit, files, index)


def find(git: Git, message: str | None) -> str | None:
    """The commit of the stash with this message, if it is still there."""
    if message is None:
        return None
    for line in git("stash", "list", "--format=%H %gs").splitlines():
        if line.endswith(message):
            return line.split()[0]
    return None


def keep(git: Git, head: str | None, before: str, now: str, message: str) -> None:
    """Store the files of tree `now` as a stash on top of `before`."""
    parents = ["-p", head] if head else []
    base = head or git("commit-tree", before, "-m", message)
    index = git("commit-tree", before, *(parents or ["-p", base]), "-m", message)
    commit = git("commit-tree", now, "-p", base, "-p", index, "-m", message)
    git("stash", "store", "--message", message, commit)


def drop(git: Git, commit: str) -> None:
    """Take a stash off the list, if it is still on it."""
    for line in git("stash", "list", "--format=%H %gd").splitlines():
        found, name = line.split()
        if found == commit:
            git("stash", "drop", "--quiet", name)
            return
