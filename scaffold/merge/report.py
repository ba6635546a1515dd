"""What an update reports: where work is that is not on disk, and the commands that bring it back."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from scaffold.merge import stash
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import Git, Workspace, split_records


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """What is left for the team after an update was applied, finished or taken back.

    Paths are relative to the workspace.
    """

    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    """The message of the stash with uncommitted work that is not put back yet."""
    rescued: str | None = None
    """The message of the last stash with files that were edited meanwhile."""
    left: tuple[str, ...] = ()
    """Files that were edited meanwhile and stay as they are."""
    commands: tuple[str, ...] = ()
    """Commands that bring everything back."""


def create_report(
    workspace: Workspace,
    git: Git,
    journal: Journal,
    left: Sequence[str],
    *,
    stashed: bool,
    not_on_disk: Sequence[str] = (),
) -> MergeReport:
    """Return the report of a journal's update.

    Args:
        workspace: The workspace that was updated.
        git: git in it.
        journal: The update's.
        left: Files that stay as they are, by path from the repository's root.
        stashed: Whether uncommitted work is still in its stash.
        not_on_disk: The files of that stash that are not on disk; without any, all are.
    """
    commands = [_command_to_restore(workspace, git, commit) for commit in journal.rescued]
    if stashed and journal.work:
        shown = [_command_to_show(workspace, journal.work, path) for path in not_on_disk]
        commands = [*(shown or [command_to_bring_back(workspace, git, journal.work)]), *commands]
    # The stash's own message, by which a person finds it in `git stash list`.
    rescued = git("log", "-1", "--format=%s", journal.rescued[-1]) if journal.rescued else None
    start = len(workspace.prefix)
    return MergeReport(
        conflicts=journal.conflicts if journal.progress is Progress.APPLIED else (),
        stash=journal.stash if stashed else None,
        rescued=rescued,
        left=tuple(path[start:] for path in left),
        commands=tuple(commands),
    )


def command_to_bring_back(workspace: Workspace, git: Git, commit: str) -> str:
    """Return the command that brings back all of the work in a stash."""
    return f"{_git_there(workspace)} stash {shlex.join(stash.words_to_bring_back(git, commit))}"


def _command_to_show(workspace: Workspace, commit: str, path: str) -> str:
    return f"{_git_there(workspace)} show {shlex.quote(f'{commit[:12]}:{path}')}"


def _command_to_restore(workspace: Workspace, git: Git, commit: str) -> str:
    printed = git("diff-tree", "-r", "-z", "--name-only", "--no-renames", f"{commit}^", commit)
    paths = " ".join(shlex.quote(path) for path in split_records(printed))
    return f"{_git_there(workspace)} --literal-pathspecs restore --source={commit[:12]} -- {paths}"


def _git_there(workspace: Workspace) -> str:
    return f"git -C {shlex.quote(str(workspace.top))}"
