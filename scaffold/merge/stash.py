"""Uncommitted work put aside in `git stash` and put back: in one place or the other at any moment."""

import secrets

from scaffold.errors import MergeError
from scaffold.git import GitError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace, uncommitted


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
        if find(git, message) is None:
            raise GitError("git stash list does not show them")
    except GitError as error:
        journals.close(workspace)
        raise MergeError(f"The uncommitted changes cannot be stashed: {error}") from None
    return noted


def pop(workspace: Workspace, git: Git, message: str | None, onto: str) -> str | None:
    """Put work back onto the tree that is checked out; the stash's name where that conflicts."""
    commit = find(git, message)
    if commit is None:
        return None
    here = git("commit-tree", onto, "-p", str(workspace.head), "-m", "scaffold")
    try:
        git("merge-tree", "--write-tree", here, commit)
        # On top of other staged changes git cannot restore what was staged, and resets the index.
        _apply(git, commit, staged=onto == git("rev-parse", "HEAD^{tree}"))
    except GitError:
        return message
    _drop(git, commit)
    return None


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


def _apply(git: Git, commit: str, *, staged: bool) -> None:
    if staged:
        try:
            git("stash", "apply", "--quiet", "--index", commit)
            return
        except GitError:
            pass  # What was staged does not fit any more; as plain changes it may.
    git("stash", "apply", "--quiet", commit)


def _drop(git: Git, commit: str) -> None:
    for line in git("stash", "list", "--format=%H %gd").splitlines():
        found, name = line.split()
        if found == commit:
            git("stash", "drop", "--quiet", name)
            return
