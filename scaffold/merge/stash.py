"""Uncommitted work put aside in `git stash` and put back: it is always in one of the two places."""

import re
import secrets
from dataclasses import dataclass

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace, list_uncommitted
from scaffold.merge.worktree import (
    Versions,
    find_in_the_way,
    list_tree,
    select,
    take_snapshot,
    write_tree,
)
from scaffold.system.git import GitError

_LIST = "refs/stash"


@dataclass(frozen=True, slots=True)
class Work:
    """Uncommitted work: the workspace's files on disk and in the index, by path from the root."""

    files: Versions
    index: Versions


def put_aside(workspace: Workspace, git: Git, journal: Journal) -> Journal:
    """Put the workspace's uncommitted changes into a stash, and return a journal that names it.

    They are still on disk as well. Raises MergeError, with nothing changed.
    """
    paths = [workspace.prefix + path for path in list_uncommitted(workspace)]
    if not paths:
        return journal
    if found := sorted(find_in_the_way(workspace.top, paths)):
        raise MergeError(
            f"{workspace.top / found[0]} is in the way of a file that git has; "
            "commit, or move it away, then run it again."
        )
    snapshot = take_snapshot(workspace, git, journals.folder(workspace, make=True), paths)
    entries = {
        path: blobs.get(0) for path, blobs in snapshot.index.items() if path in snapshot.disk
    }
    work = Work(snapshot.disk, select(paths, entries))
    # Unlike any other, because the stash is found again by its message.
    message = f"scaffold put uncommitted work aside ({secrets.token_hex(4)})"
    commit = create(workspace, git, journal, work, message)
    journal = journal.model_copy(
        update={"progress": Progress.STASHING, "stash": message, "work": commit}
    )
    # The journal first: a kill in between leaves a commit that is named, not a stash nobody knows.
    journals.write(workspace, journal)
    git("stash", "store", "--message", message, commit)
    return journal


def create(workspace: Workspace, git: Git, journal: Journal, work: Work, message: str) -> str:
    """Write the commit of a stash with this work, and return it; it is not on the list yet."""
    scratch = journals.folder(workspace, make=True) / "scratch"
    files, index = (
        write_tree(workspace, git, journal.before, one, scratch) for one in (work.files, work.index)
    )
    base = journal.head or git("commit-tree", journal.before, "-m", message)
    # git keeps what was staged in a stash's second parent.
    second = git("commit-tree", index, "-p", base, "-m", message)
    return git("commit-tree", files, "-p", base, "-p", second, "-m", message)


def read(workspace: Workspace, git: Git, journal: Journal) -> Work | None:
    """Return the workspace's part of the work put aside; None without any."""
    commit = journal.work or find(git, journal.stash)
    if commit is None:
        return None
    files, index = (list_tree(workspace, git, f"{commit}{part}") for part in ("", "^2"))
    return Work(files, index)


def read_on_top(workspace: Workspace, git: Git, journal: Journal) -> Work | None:
    """Return the work on top of what the update writes; None without any, or if that conflicts."""
    commit = journal.work or find(git, journal.stash)
    if commit is None or journal.stages:
        return None
    ours, *theirs = (
        git("commit-tree", f"{tree}^{{tree}}", "-p", str(journal.head), "-m", "scaffold")
        for tree in (journal.after, commit, f"{commit}^2")
    )
    try:
        trees = [git("merge-tree", "--write-tree", "--no-messages", ours, one) for one in theirs]
    # Exit status 1: the work conflicts with the update.
    except GitError:
        return None
    return Work(*(list_tree(workspace, git, tree) for tree in trees))


def find(git: Git, message: str | None) -> str | None:
    """Return the commit of the stash with this message, if it is still on the list."""
    if message is None:
        return None
    for line in git("stash", "list", "--format=%H %gs").splitlines():
        if line.endswith(message):
            return line.split()[0]
    return None


def keep_listed(git: Git, journal: Journal) -> None:
    """Put the work back on git's list of stashes if it has fallen off."""
    stashes = _list_stashes(git)
    if journal.work and journal.work not in stashes:
        if not stashes and _read_top(git):
            # The list is empty because its log has expired; git would add nothing to it.
            git("update-ref", "-d", _LIST)
        git("stash", "store", "--message", str(journal.stash), journal.work)


def drop(git: Git, commit: str | None) -> None:
    """Take a stash off the list, if it is still on it, and never another."""
    stashes = _list_stashes(git)
    if commit not in stashes:
        return
    printed = git("stash", "drop", f"stash@{{{stashes.index(commit)}}}")
    dropped = re.search(r"\(([0-9a-f]{40,})\)", printed)
    if dropped and dropped[1] != commit:
        # Somebody put one on the list at this very moment, from another work tree maybe.
        message = git("log", "-1", "--format=%s", dropped[1])
        git("stash", "store", "--message", message, dropped[1])
        drop(git, commit)


def words_to_bring_back(git: Git, commit: str) -> list[str]:
    """Return the words after `git stash` that bring back all of the work in a stash."""
    # What was staged and then changed again is lost without --index.
    staged = git("diff-tree", "-r", "--name-only", f"{commit}^", f"{commit}^2")
    options = ["--index"] if staged else []
    stashes = _list_stashes(git)
    if commit in stashes:
        return ["pop", *options, f"stash@{{{stashes.index(commit)}}}"]
    return ["apply", *options, commit]


def _list_stashes(git: Git) -> list[str]:
    """Return the commits on the list, the newest first."""
    return git("rev-list", "--walk-reflogs", _LIST).split() if _read_top(git) else []


def _read_top(git: Git) -> str:
    return git("rev-parse", "--quiet", "--verify", _LIST, allowed=(0, 1))
