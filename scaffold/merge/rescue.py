"""Edits made while an update was half done, or since: kept in a stash before they are written over."""

import os
import secrets
from collections.abc import Set
from dataclasses import dataclass

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import Goal
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace, modes_count
from scaffold.merge.scratch import Blob
from scaffold.merge.worktree import Look, Switch, Versions, holds_file, in_the_way, look
from scaffold.system.git import GitError

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Ready:
    """A switch that loses nothing: the journal names what was rescued for it.

    `left` are files that were edited, are not the update's own, and stay as they are.
    """

    journal: Journal
    switch: Switch
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a goal meets: obstacles where it writes, edits on disk and in the index.

    `wanted` are the goal's files without those that git ignores and somebody edited.
    """

    wanted: Versions
    obstacles: Set[str]
    seen: Look
    edited: Set[str]
    staged: Versions
    left: tuple[str, ...]

    def to_keep(self) -> Versions:
        """The edits that would be written over."""
        return {path: self.seen.disk[path] for path in self.edited if path not in self.left}


def make_ready(
    workspace: Workspace, git: Git, journal: Journal, goal: Goal, *, rescue: bool = True
) -> Ready:
    """Keep what would be written over, and prepare the switch to a goal.

    Without `rescue` nothing that was edited may be there: raises MergeError.
    """
    loose = not modes_count(git)
    found = _find(workspace, git, journal, goal, loose)
    met = found.edited | found.staged.keys() | found.obstacles
    if met and not rescue:
        raise MergeError(f"{min(met)} was changed in the meantime; run it again.")
    journal = _kept(workspace, git, journal, found.to_keep(), found.staged)
    gone = dict.fromkeys(found.obstacles)
    final = {path: blob for path, blob in found.wanted.items() if path not in found.left}
    said = {
        path: blob
        for path, blob in {**gone, **goal.staged}.items()
        if path not in found.left or not _unknown(_entry(found.seen, path), goal, path, loose)
    }
    switch = found.seen.switch(journal.before, {**gone, **final}, said, goal.stages)
    return Ready(journal, switch, found.left)


def _find(workspace: Workspace, git: Git, journal: Journal, goal: Goal, loose: bool) -> _Found:
    hidden = {path for path in journal.ignored if _edited_ignored(workspace, git, goal, path)}
    wanted = {path: blob for path, blob in goal.files.items() if path not in hidden}
    way = {path: in_the_way(workspace.top, [path]) for path, blob in wanted.items() if blob}
    barred = {path for path, found in way.items() if found and path not in goal.own}
    obstacles = {one for path in goal.own & way.keys() for one in way[path]} - wanted.keys()
    paths = {*wanted, *goal.staged, *goal.stages, *obstacles} - hidden
    seen = look(workspace, git, journals.folder(workspace, make=True), paths)
    edited = {
        path
        for path in {*wanted, *obstacles}
        if _unknown(seen.disk[path], goal, path, loose)
        and not _is_cut_short(workspace, git, journal, path, goal)
    }
    left = (edited - goal.own - obstacles) | barred | (hidden & goal.files.keys())
    staged = _staged_edits(seen, goal, loose)
    return _Found(wanted, obstacles, seen, edited, staged, tuple(sorted(left)))


def _kept(
    workspace: Workspace, git: Git, journal: Journal, files: Versions, staged: Versions
) -> Journal:
    """Put edits into stashes, one for files and one for what was staged; the journal names them."""
    for what, edits in (("files that were edited", files), ("what was staged", staged)):
        if edits:
            text = f"scaffold kept {what} during an update ({secrets.token_hex(4)})"
            commit = stash.make(workspace, git, journal, edits, {}, text)
            journal = journal.model_copy(update={"rescued": (*journal.rescued, commit)})
            git("stash", "store", "--message", text, commit)
            journals.write(workspace, journal)
    return journal


def _staged_edits(seen: Look, goal: Goal, loose: bool) -> dict[str, Blob]:
    """What was staged where the index is written over, and is on disk no more."""
    return {
        path: entry
        for path in goal.own | goal.stages.keys()
        if (entry := _entry(seen, path))
        and entry != seen.disk.get(path)
        and _unknown(entry, goal, path, loose)
    }


def _entry(seen: Look, path: str) -> Blob | None:
    return seen.index.get(path, {}).get(0)


def _unknown(blob: Blob | None, goal: Goal, path: str, loose: bool) -> bool:
    known = goal.known.get(path, frozenset())
    if blob is None or blob in known:
        return False
    return not (loose and blob.oid in {one.oid for one in known})


def _is_cut_short(workspace: Workspace, git: Git, journal: Journal, path: str, goal: Goal) -> bool:
    """Whether a file is the beginning of a version: git was killed while it wrote that.

    A system that stops a write does so at a block's end. Any other beginning, or one where nothing
    was being written, is what somebody left of the file: an edit like others.
    """
    place, known = workspace.top / path, goal.known.get(path, frozenset())
    if journal.progress is Progress.APPLIED or place.is_symlink():
        return False
    if place.stat().st_size % _BLOCK or any(one.mode == "160000" for one in known):
        return False
    content = place.read_bytes()
    # A whole version with another mode was not cut short: somebody changed the mode.
    return any(
        len(content) < len(whole) and whole.startswith(content)
        for whole in (_content(git, path, one.oid) for one in known)
    )


def _content(git: Git, path: str, oid: str) -> bytes:
    """A version as git would write it, without the end of its last line."""
    try:
        told = git("cat-file", "--filters", f"--path={path}", oid)
    except GitError:  # the team's filter fails
        told = git("cat-file", "blob", oid)
    return told.encode("utf-8", "surrogateescape")


def _edited_ignored(workspace: Workspace, git: Git, goal: Goal, path: str) -> bool:
    """Whether an ignored file is on disk and not the update's; its content is not stored."""
    if not os.path.lexists(workspace.top / path):
        return False
    if not holds_file(workspace.top, path) or (workspace.top / path).is_symlink():
        return True
    told = git("hash-object", "--stdin-paths", feed=f"{path}\n")
    return told not in {blob.oid for blob in goal.known.get(path, frozenset())}
