"""Edits made while an update was half done, or since: kept in a stash before they are written over."""

import os
from collections.abc import Iterable
from pathlib import Path

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.journal import Journal
from scaffold.merge.lab import Blob
from scaffold.merge.repository import Git, records
from scaffold.merge.workspace import Workspace
from scaffold.merge.worktree import changed, switch


def rescue(workspace: Workspace, git: Git, journal: Journal, trees: tuple[str, str]) -> str | None:
    """Keep in a stash what was edited in the files that are about to be written over."""
    place = journals.folder(workspace)
    paths = _edited(workspace, git, place, trees, journal.identical)
    if not paths:
        return None
    index = place / "rescue"
    own = git.using(GIT_INDEX_FILE=index)
    own("read-tree", journal.before)
    own(
        "update-index", "--add", "--replace", "-z", "--stdin", feed="".join(f"{p}\0" for p in paths)
    )
    message = "scaffold kept files that were edited during an update"
    stash.keep(git, workspace.head, journal.before, own("write-tree"), message)
    return message


def _edited(
    workspace: Workspace, git: Git, folder: Path, trees: tuple[str, str], identical: Iterable[str]
) -> list[str]:
    """The differing paths whose file on disk is neither tree's, nor one cut short in the writing."""
    differing = changed(git, *trees)
    unlike: list[set[str]] = []
    for at, both in enumerate((trees, (trees[1], trees[0]))):
        own = switch(workspace, git, folder, both).git
        absent = {path for path, versions in differing.items() if versions[at] is None}
        unlike.append(absent | {*records(own("diff-files", "--name-only", "-z"))})
    return [
        path
        for path in sorted(differing.keys() & unlike[0] & unlike[1] - {*identical})
        if _is_file(workspace.top / path) and not _cut_short(workspace, git, path, differing[path])
    ]


def _cut_short(
    workspace: Workspace, git: Git, path: str, both: tuple[Blob | None, Blob | None]
) -> bool:
    place = workspace.top / path
    if place.is_symlink():
        return False
    content = place.read_bytes()
    return any(blob.oid and _bytes(git, blob.oid).startswith(content) for blob in both if blob)


def _bytes(git: Git, oid: str) -> bytes:
    told = git("cat-file", "--batch", feed=f"{oid}\n")
    return told.partition("\n")[2].encode("utf-8", "surrogateescape")


def _is_file(place: Path) -> bool:
    return os.path.lexists(place) and (place.is_symlink() or place.is_file())
