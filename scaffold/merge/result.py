"""What is left to say after an update: where work is that is not on disk, and what brings it back."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from scaffold.merge import stash
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left to say afterwards.

    `stash` names uncommitted work that is not put back yet, `rescued` the last stash with files
    that were edited while an update was half done or before it was taken back. `left` are files
    that were edited meanwhile and stay as they are. `commands` bring everything back.
    """

    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    rescued: str | None = None
    left: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def outcome(
    workspace: Workspace,
    git: Git,
    journal: Journal,
    left: Sequence[str],
    *,
    stashed: bool,
    apart: Sequence[str] = (),
) -> Outcome:
    """Return what to say of a journal's update; of a stash, `apart` are not on disk, or all is not."""
    commands = [_restore(workspace, git, one) for one in journal.rescued]
    if stashed and journal.work:
        shown = [_show(workspace, journal.work, path) for path in apart]
        commands = [*(shown or [bring_back(workspace, git, journal.work)]), *commands]
    rescued = git("log", "-1", "--format=%s", journal.rescued[-1]) if journal.rescued else None
    cut = len(workspace.prefix)
    return Outcome(
        journal.conflicts if journal.progress is Progress.APPLIED else (),
        journal.stash if stashed else None,
        rescued,
        tuple(path[cut:] for path in left),
        tuple(commands),
    )


def bring_back(workspace: Workspace, git: Git, commit: str) -> str:
    """Return the command that brings all uncommitted work back."""
    return f"{_git(workspace)} stash {shlex.join(stash.words(git, commit))}"


def _show(workspace: Workspace, commit: str, path: str) -> str:
    return f"{_git(workspace)} show {shlex.quote(f'{commit[:12]}:{path}')}"


def _restore(workspace: Workspace, git: Git, commit: str) -> str:
    told = git("diff-tree", "-r", "-z", "--name-only", "--no-renames", f"{commit}^", commit)
    paths = " ".join(shlex.quote(path) for path in told.split("\0") if path)
    return f"{_git(workspace)} --literal-pathspecs restore --source={commit[:12]} -- {paths}"


def _git(workspace: Workspace) -> str:
    return f"git -C {shlex.quote(str(workspace.top))}"
