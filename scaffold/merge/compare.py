"""What a team changed against the template it started from."""

import os
import tempfile
from pathlib import Path

from scaffold.merge.changes import Change, ChangeKind
from scaffold.merge.disk import copy_index
from scaffold.merge.lab import Lab, lab
from scaffold.merge.plan import difference
from scaffold.merge.renders import aligned, rendered
from scaffold.merge.repository import records
from scaffold.merge.workspace import Workspace

_KINDS = {
    "A": ChangeKind.ADDED,
    "D": ChangeKind.REMOVED,
    "R": ChangeKind.RENAMED,
}


def compare(workspace: Workspace, before: Path) -> tuple[tuple[Change, ...], str]:
    """What the team's files, uncommitted and untracked ones too, are other than a render.

    The changes are `updated`, `added`, `removed` or `renamed`, seen from the team's side; then
    follows the text of the diff. Ignored files are not looked at. Writes nothing.
    """
    with lab(workspace) as work:
        tree = _on_disk(work)
        ours = work.workspace_files(tree)
        seeds = aligned(work, rendered(work, before, ours), ours, {})
        base = work.tree(tree, seeds)
        told = difference(work, base, tree, "--name-status", "-z").rstrip("\n").split("\0")
        return tuple(_changes(told)), difference(work, base, tree)


def _on_disk(work: Lab) -> str:
    team = copy_index(work.workspace, work.team, work.folder / "on-disk")
    within = work.workspace.pathspec
    team("add", "--update", "--", within)
    told = team("ls-files", "--others", "--exclude-standard", "-z", "--", within)
    # A repository in the workspace is listed as a folder: it is not the team's work on this one.
    # Neither are our own temporary files, where TMPDIR is a folder of the workspace.
    ours = f"{os.path.relpath(tempfile.gettempdir(), work.workspace.top)}/scaffold-".removeprefix(
        "./"
    )
    files = (p for p in records(told) if not p.endswith("/") and not p.startswith(ours))
    team("update-index", "--add", "-z", "--stdin", feed="".join(f"{path}\0" for path in files))
    return team("write-tree")


def _changes(told: list[str]) -> list[Change]:
    result: list[Change] = []
    parts = iter(part for part in told if part)
    for status in parts:
        kind = _KINDS.get(status[0], ChangeKind.UPDATED)
        was = next(parts) if kind is ChangeKind.RENAMED else None
        result.append(Change(kind, next(parts), was=was))
    return sorted(result, key=lambda one: one.path)
