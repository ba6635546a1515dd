"""From the team's files to the merged ones and back: journalled, so that a kill costs nothing."""

from dataclasses import dataclass

from scaffold.merge.plan import Plan
from scaffold.merge.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left to say afterwards.

    `stash` names uncommitted work that could not be put back yet (`git stash pop`), `rescued` the
    stash with files that were edited while an update was half done or being taken back.
    """

    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    rescued: str | None = None


def apply(plan: Plan, *, autostash: bool = False) -> Outcome:
    """Bring the plan into the work tree and the index; commits nothing and runs no hook.

    Raises MergeError with nothing changed when the workspace is not as it was planned.
    """
    raise NotImplementedError


def resume(workspace: Workspace) -> Outcome | None:
    """Finish an update or an abort that was killed; None when there is none."""
    raise NotImplementedError


def abort(workspace: Workspace) -> Outcome:
    """Take an uncommitted update back: files and index as they were. Raises MergeError without one."""
    raise NotImplementedError
