"""Uncommitted work put aside in `git stash` and put back: never in neither place."""

import re
import secrets
from dataclasses import dataclass

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace, uncommitted
from scaffold.merge.worktree import Versions, at, in_the_way, listed, look, tree_with
from scaffold.system.git import GitError

_LIST = "refs/stash"


@dataclass(frozen=True, slots=True)
class Work:
    """Uncommitted work: the workspace's files on disk and in the index, by path from the root."""

    files: Versions
    index: Versions


def put_aside(workspace: Workspace, git: Git, journal: Journal) -> Journal:
    """Put the workspace's uncommitted changes into a stash that the journal names.

    They are still on disk as well. Raises MergeError, with nothing changed.
    """
    paths = [workspace.prefix + path for path in uncommitted(workspace)]
    if not paths:
        return journal
    if found := sorted(in_the_way(workspace.top, paths)):
        raise MergeError(
            f"{workspace.top / found[0]} is in the way of a file that git has; "
            "commit, or move it away, then run it again."
        )
    seen = look(workspace, git, journals.folder(workspace, make=True), paths)
    staged = {path: blobs.get(0) for path, blobs in seen.index.items() if path in seen.disk}
    message = f"scaffold put uncommitted work aside ({secrets.token_hex(4)})"
    commit = make(workspace, git, journal, seen.disk, at(paths, staged), message)
    noted = journal.model_copy(
        update={"progress": Progress.STASHING, "stash": message, "work": commit}
    )
    journals.write(workspace, noted)
    git("stash", "store", "--message", message, commit)
    return noted


def make(
    workspace: Workspace, git: Git, journal: Journal, files: Versions, staged: Versions, text: str
) -> str:
    """Return the commit of a stash with these files, not yet on the list."""
    scratch = journals.folder(workspace, make=True) / "scratch"
    now, index = (
        tree_with(workspace, git, journal.before, one, scratch) for one in (files, staged)
    )
    base = journal.head or git("commit-tree", journal.before, "-m", text)
    second = git("commit-tree", index, "-p", base, "-m", text)
    return git("commit-tree", now, "-p", base, "-p", second, "-m", text)


def read(workspace: Workspace, git: Git, journal: Journal) -> Work | None:
    """The workspace's part of the work put aside; None without any."""
    commit = journal.work or find(git, journal.stash)
    if commit is None:
        return None
    files, index = (listed(workspace, git, f"{commit}{part}") for part in ("", "^2"))
    return Work(files, index)


def onto(workspace: Workspace, git: Git, journal: Journal) -> Work | None:
    """The work on top of what the update makes; None where there is none, or that conflicts."""
    commit = journal.work or find(git, journal.stash)
    if commit is None or journal.stages:
        return None
    ours, *theirs = (
        git("commit-tree", f"{tree}^{{tree}}", "-p", str(journal.head), "-m", "scaffold")
        for tree in (journal.after, commit, f"{commit}^2")
    )
    try:
        trees = [git("merge-tree", "--write-tree", "--no-messages", ours, one) for one in theirs]
    except GitError:
        return None
    return Work(*(listed(workspace, git, tree) for tree in trees))


def find(git: Git, message: str | None) -> str | None:
    """The commit of the stash with this message, if it is still there."""
    if message is None:
        return None
    for line in git("stash", "list", "--format=%H %gs").splitlines():
        if line.endswith(message):
            return line.split()[0]
    return None


def keep_listed(git: Git, journal: Journal) -> None:
    """See to it that `git stash list` shows the work before anything is written over."""
    stashes = _stashes(git)
    if journal.work and journal.work not in stashes:
        if not stashes and _top(git):
            # The list is empty because its log has expired; git would add nothing to it.
            git("update-ref", "-d", _LIST)
        git("stash", "store", "--message", str(journal.stash), journal.work)


def drop(git: Git, commit: str | None) -> None:
    """Take a stash off the list, if it is still on it, and never another."""
    stashes = _stashes(git)
    if commit not in stashes:
        return
    printed = git("stash", "drop", f"stash@{{{stashes.index(commit)}}}")
    dropped = re.search(r"\(([0-9a-f]{40,})\)", printed)
    if dropped and dropped[1] != commit:
        # Somebody put one on the list at this very moment, from another work tree maybe.
        text = git("log", "-1", "--format=%s", dropped[1])
        git("stash", "store", "--message", text, dropped[1])
        drop(git, commit)


def words(git: Git, commit: str) -> list[str]:
    """What brings a stash back: `git stash` and these words."""
    # What was staged and then changed again is lost without --index.
    staged = git("diff-tree", "-r", "--name-only", f"{commit}^", f"{commit}^2")
    options = ["--index"] if staged else []
    stashes = _stashes(git)
    if commit in stashes:
        return ["pop", *options, f"stash@{{{stashes.index(commit)}}}"]
    return ["apply", *options, commit]


def _stashes(git: Git) -> list[str]:
    """The commits on the list, the newest first."""
    return git("rev-list", "--walk-reflogs", _LIST).split() if _top(git) else []


def _top(git: Git) -> str:
    return git("rev-parse", "--quiet", "--verify", _LIST, allowed=(0, 1))
