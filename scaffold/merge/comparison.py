"""How the team's files differ from a render: what `scaffold diff` shows."""

import os
import tempfile
from pathlib import Path

from scaffold.merge.changes import Change, ChangeKind
from scaffold.merge.repository import Workspace, require_marker, split_records
from scaffold.merge.scratch import ScratchRepository, open_scratch
from scaffold.merge.sides import align_line_endings, hash_render
from scaffold.merge.worktree import copy_index

_KINDS = {
    "A": ChangeKind.ADDED,
    "D": ChangeKind.REMOVED,
    "R": ChangeKind.RENAMED,
}


def compare(workspace: Workspace, before: Path) -> tuple[tuple[Change, ...], str]:
    """Compare a rendered folder with the team's files, uncommitted and untracked ones too.

    Ignored files are not looked at, and nothing is written. Return the changes (`updated`,
    `added`, `removed` or `renamed`, seen from the team's side) and the text of the diff.
    """
    with open_scratch(workspace) as scratch:
        tree = _write_disk_tree(scratch)
        ours = scratch.list_files(tree)
        files = align_line_endings(scratch, hash_render(scratch, before, ours), ours, {})
        base = scratch.write_tree(tree, files)
        names = scratch.diff(base, tree, "--name-status", "-z").rstrip("\n").split("\0")
        return tuple(_parse_changes(names)), scratch.diff(base, tree)


def _write_disk_tree(scratch: ScratchRepository) -> str:
    """Return a tree of what is on disk in the workspace's folder, and of the index elsewhere."""
    workspace = scratch.workspace
    team = copy_index(workspace, scratch.team, scratch.folder / "on-disk")
    team("add", "--update", "--", workspace.pathspec)
    untracked = split_records(
        team("ls-files", "--others", "--exclude-standard", "-z", "--", workspace.pathspec)
    )
    # Our own temporary files are listed where TMPDIR is a folder of the workspace.
    temporary = Path(os.path.relpath(tempfile.gettempdir(), workspace.top)).as_posix()
    ours = f"{temporary}/scaffold-".removeprefix("./")
    # A repository in the workspace is listed as a folder: its files are not this one's.
    files = (path for path in untracked if not path.endswith("/") and not path.startswith(ours))
    team("update-index", "--add", "-z", "--stdin", feed="".join(f"{path}\0" for path in files))
    listed = split_records(team("ls-files", "-z", "--", f"{workspace.prefix}{workspace.marker}"))
    require_marker(workspace, [path.removeprefix(workspace.prefix) for path in listed])
    return team("write-tree")


def _parse_changes(names: list[str]) -> list[Change]:
    """Return what `git diff --name-status -z` lists: a status, and a path or two."""
    changes: list[Change] = []
    parts = iter(part for part in names if part)
    for status in parts:
        kind = _KINDS.get(status[0], ChangeKind.UPDATED)
        was = next(parts) if kind is ChangeKind.RENAMED else None
        changes.append(Change(kind=kind, path=next(parts), was=was))
    return sorted(changes, key=lambda one: one.path)
