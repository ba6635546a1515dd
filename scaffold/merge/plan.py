"""The plan of a merge: every file that changes, and what a person must look at."""

import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.changes import Change, ChangeKind, Sides, classified
from scaffold.merge.dependencies import merge
from scaffold.merge.git_renders import aligned, rendered, with_team_modes
from scaffold.merge.obstacles import barred, behind_files, obstacles, without_taken
from scaffold.merge.repository import ANSWERS, Workspace, modes_count, records
from scaffold.merge.scratch import Files, Lab, lab, label
from scaffold.merge.three_way import Merged, Stages, moved, moves, seeds
from scaffold.merge.worktree import copy_index


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the two sides in conflict markers; blanks become dashes."""

    ours: str = "yours"
    theirs: str = "template"


@dataclass(frozen=True, slots=True)
class Plan:
    """A merge worked out, in a temporary object directory; usable until its block ends.

    `before` and `after` are trees of the whole repository. `stages` holds what the index shall say
    of conflicts, `identical` the files that are on disk already, without git having them, `ignored`
    those that are added and that git ignores: they go to the disk alone. `there` are
    the workspace's files today, `files` afterwards, `theirs` the template's.
    """

    workspace: Workspace
    changes: tuple[Change, ...]
    before: str
    after: str
    stages: Mapping[str, Stages]
    identical: frozenset[str]
    ignored: frozenset[str]
    there: Files
    files: Files
    theirs: Files
    lab: Lab

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """What a person has to decide."""
        return tuple(one for one in self.changes if one.kind is ChangeKind.CONFLICT)

    @property
    def empty(self) -> bool:
        """Whether applying it changes nothing (suggestions and kept files change nothing)."""
        return self.before == self.after and not self.stages

    def diff(self) -> str:
        """The workspace before and after, as `git diff` shows it, conflict markers included."""
        return difference(self.lab, self.before, self.after)


def difference(lab: Lab, before: str, after: str, *options: str) -> str:
    """`git diff` of the workspace's folder in two trees of the whole repository."""
    within = [f"--relative={lab.workspace.prefix}"] if lab.workspace.prefix else []
    text = lab.git(
        "diff", "--no-ext-diff", "--no-textconv", "--find-renames", *within, *options, before, after
    )
    return f"{text}\n" if text else ""


@contextmanager
def plan(
    workspace: Workspace,
    before: Path,
    after: Path,
    *,
    team_owned: Sequence[str] = (),
    follow: bool = False,
    renames: Mapping[str, str] | None = None,
    labels: Labels = Labels(),
    always: Sequence[str] = (ANSWERS,),
) -> Generator[Plan]:
    """Merge the change from `before` to `after` into the last commit; writes nothing.

    `team_owned`: files, folders or patterns (`*`), as they are called in `before` or `after`;
    with `follow` those that nobody edited change as well.
    `renames`: old to new path of files or folders the template moved, a package's folder as well.
    `always`: files taken from `after` whatever the team did to them.
    Before the first commit, what is staged is taken for the last commit.
    Raises MergeError, ToolError.
    """
    with lab(workspace) as work:
        around = committed(work)
        there = work.workspace_files(around)
        _require_answers(workspace, there)
        sides = _sides(work, there, (before, after), renames or {})
        held = seeds(sides.before, sides.after, sides.ours, team_owned, follow=follow)
        apart = behind_files(sides.before, sides.ours, held.after)
        new = {**held.after, **{path: blob for path, blob in apart.items() if blob}}
        new = {path: blob for path, blob in new.items() if apart.get(path, blob)}
        base = {**sides.before, **{path: sides.ours[path] for path in always if path in sides.ours}}
        merged = merge(work, around, base, sides.ours, new, _names(labels))
        met = obstacles(work, there, merged)
        final = without_taken(merged, met)
        yield Plan(
            workspace=workspace,
            changes=classified(
                replace(sides, result=final.files), final, held.newer, met, apart.keys()
            ),
            before=around,
            after=_tree(work, around, there, final),
            stages=final.stages,
            identical=met.identical - met.hidden,
            ignored=met.hidden & final.files.keys(),
            there=there,
            files=final.files,
            theirs=sides.after,
            lab=work,
        )


def committed(work: Lab) -> str:
    """The tree of the last commit, or before the first one of what is staged."""
    if head := work.workspace.head:
        return work.git("rev-parse", f"{head}^{{tree}}")
    return work.team("write-tree")


def _require_answers(workspace: Workspace, there: Files) -> None:
    if ANSWERS not in there:
        answers = workspace.folder / ANSWERS
        raise MergeError(f"git does not have {answers}; run git add and git commit first.")


def _sides(
    work: Lab, there: Files, folders: tuple[Path, Path], renames: Mapping[str, str]
) -> Sides:
    old, new = (rendered(work, folder, there) for folder in folders)
    to = moves(renames, old, new, there, lambda free: barred(work.workspace, free))
    ours, was = moved(there, to), moved(old, to)
    missing = {path: blob for path, blob in was.items() if path not in ours}
    before, after = (aligned(work, files, ours, missing) for files in (was, new))
    if not modes_count(work.workspace.git):
        before, after = with_team_modes(before, after, ours)
    return Sides(
        there=there,
        before=before,
        ours=ours,
        after=after,
        result=ours,
        moves={path: new for path, new in to.items() if path in there},
    )


def _tree(work: Lab, around: str, there: Files, final: Merged) -> str:
    if final.tree:
        return final.tree
    return around if final.files == there else work.tree(around, final.files)


def _names(labels: Labels) -> tuple[str, str]:
    mine, other = label(labels.ours), label(labels.theirs)
    return (mine, other) if mine != other else (mine, f"{other}-template")


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
