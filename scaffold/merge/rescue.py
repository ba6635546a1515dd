"""Edits made while an update was half done, or since: stashed before they are written over."""

import os
import secrets
from collections.abc import Set
from dataclasses import dataclass

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import Goal
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace, tracks_modes
from scaffold.merge.scratch import Blob
from scaffold.merge.worktree import (
    Snapshot,
    Switch,
    Versions,
    find_in_the_way,
    is_file,
    take_snapshot,
)
from scaffold.system.git import GitError

# Bytes: the smallest block that file systems write.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Ready:
    """A switch that loses nothing: the journal names what was rescued for it.

    `left` are files that were edited, are not the update's own, and stay as they are.
    """

    journal: Journal
    switch: Switch
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encounter:
    """What a goal meets: obstacles where it writes, edits on disk and in the index.

    `wanted` are the goal's files without those that git ignores and somebody edited. `staged`
    are edits that are in the index alone.
    """

    wanted: Versions
    obstacles: Set[str]
    snapshot: Snapshot
    edited: Set[str]
    staged: Versions
    left: tuple[str, ...]

    def files_to_keep(self) -> Versions:
        """Return the edits that would be written over."""
        return {path: self.snapshot.disk[path] for path in self.edited if path not in self.left}


def prepare(
    workspace: Workspace, git: Git, journal: Journal, goal: Goal, *, rescue: bool = True
) -> Ready:
    """Stash what would be written over, and prepare the switch to a goal.

    Without `rescue`, raise MergeError where anything was edited.
    """
    # Where the file system has no run bits, every mode on disk looks changed.
    loose = not tracks_modes(git)
    met = _look(workspace, git, journal, goal, loose)
    in_danger = met.edited | met.staged.keys() | met.obstacles
    if in_danger and not rescue:
        raise MergeError(f"{min(in_danger)} was changed in the meantime; run it again.")
    journal = _rescue(workspace, git, journal, met)
    gone = dict.fromkeys(met.obstacles)
    final = {path: blob for path, blob in met.wanted.items() if path not in met.left}
    staged = {
        path: blob
        for path, blob in {**gone, **goal.staged}.items()
        if path not in met.left or not _is_edit(_entry(met.snapshot, path), goal, path, loose)
    }
    switch = met.snapshot.prepare_switch(journal.before, {**gone, **final}, staged, goal.stages)
    return Ready(journal, switch, met.left)


def _look(workspace: Workspace, git: Git, journal: Journal, goal: Goal, loose: bool) -> _Encounter:
    """Find what the goal meets. With `loose` modes do not count."""
    hidden = {path for path in journal.ignored if _is_edited_ignored(workspace, git, goal, path)}
    wanted = {path: blob for path, blob in goal.files.items() if path not in hidden}
    in_the_way = {
        path: find_in_the_way(workspace.top, [path]) for path, blob in wanted.items() if blob
    }
    # Uncommitted work that is put back does not clear its way: what is there stays.
    barred = {path for path, found in in_the_way.items() if found and path not in goal.own}
    own = goal.own & in_the_way.keys()
    obstacles = {found for path in own for found in in_the_way[path]} - wanted.keys()
    paths = {*wanted, *goal.staged, *goal.stages, *obstacles} - hidden
    snapshot = take_snapshot(workspace, git, journals.folder(workspace, make=True), paths)
    edited = {
        path
        for path in {*wanted, *obstacles}
        if _is_edit(snapshot.disk[path], goal, path, loose)
        and not _is_cut_short(workspace, git, journal, path, goal)
    }
    left = (edited - goal.own - obstacles) | barred | (hidden & goal.files.keys())
    return _Encounter(
        wanted=wanted,
        obstacles=obstacles,
        snapshot=snapshot,
        edited=edited,
        staged=_find_staged_edits(snapshot, goal, loose),
        left=tuple(sorted(left)),
    )


def _rescue(workspace: Workspace, git: Git, journal: Journal, met: _Encounter) -> Journal:
    """Put edits into stashes, one for files and one for what was staged.

    Return a journal that names them.
    """
    parts = (("files that were edited", met.files_to_keep()), ("what was staged", met.staged))
    for what, edits in parts:
        if edits:
            message = f"scaffold kept {what} during an update ({secrets.token_hex(4)})"
            commit = stash.create(workspace, git, journal, stash.Work(edits, {}), message)
            journal = journal.model_copy(update={"rescued": (*journal.rescued, commit)})
            # git's list first: from here on the edit is safe, whether the journal gets written
            # or not.
            git("stash", "store", "--message", message, commit)
            journals.write(workspace, journal)
    return journal


def _find_staged_edits(snapshot: Snapshot, goal: Goal, loose: bool) -> dict[str, Blob]:
    """Return what was staged where the index is written over, and is not on disk any more."""
    return {
        path: entry
        for path in goal.own | goal.stages.keys()
        if (entry := _entry(snapshot, path))
        and entry != snapshot.disk.get(path)
        and _is_edit(entry, goal, path, loose)
    }


def _entry(snapshot: Snapshot, path: str) -> Blob | None:
    return snapshot.index.get(path, {}).get(0)


def _is_edit(blob: Blob | None, goal: Goal, path: str, loose: bool) -> bool:
    """Tell whether a version is in no commit, no stash, and not the update's."""
    known = goal.known.get(path, frozenset())
    if blob is None or blob in known:
        return False
    return not (loose and blob.oid in {one.oid for one in known})


def _is_cut_short(workspace: Workspace, git: Git, journal: Journal, path: str, goal: Goal) -> bool:
    """Tell whether a file is the beginning of a version: git was killed while it wrote that.

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
        for whole in (_read_as_written(git, path, one.oid) for one in known)
    )


def _read_as_written(git: Git, path: str, oid: str) -> bytes:
    """Return a version as git would write it, without the end of its last line."""
    try:
        printed = git("cat-file", "--filters", f"--path={path}", oid)
    except GitError:  # the team's filter fails
        printed = git("cat-file", "blob", oid)
    return printed.encode("utf-8", "surrogateescape")


def _is_edited_ignored(workspace: Workspace, git: Git, goal: Goal, path: str) -> bool:
    """Tell whether an ignored file is on disk and not the update's; its content is not stored."""
    if not os.path.lexists(workspace.top / path):
        return False
    if not is_file(workspace.top, path) or (workspace.top / path).is_symlink():
        return True
    oid = git("hash-object", "--stdin-paths", feed=f"{path}\n")
    return oid not in {blob.oid for blob in goal.known.get(path, frozenset())}
