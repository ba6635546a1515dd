"""From the team's files to the merged ones and back: journalled, so that a kill costs nothing."""

from scaffold.errors import MergeError
from scaffold.git import GitError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.backward import go_back
from scaffold.merge.forward import Outcome, finish, prepared, put_back, switch_over
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import alone, index_locked
from scaffold.merge.plan import Plan
from scaffold.merge.ready import journal_of, keep_objects, require_ready, require_unmoved
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace, head


def apply(plan: Plan, *, autostash: bool = False) -> Outcome:
    """Bring the plan into the work tree and the index; commits nothing and runs no hook.

    Raises MergeError with nothing changed when the workspace is not as it was planned.
    """
    workspace = plan.workspace
    with alone(workspace) as git:
        require_ready(workspace, autostash=autostash)
        if not plan.empty:
            require_unmoved(plan)
            keep_objects(plan)
            return _applied(workspace, git, journal_of(plan), autostash)
    return Outcome(tuple(one.path for one in plan.conflicts))


def resume(workspace: Workspace) -> Outcome | None:
    """Finish an update or an abort that was killed; None when there is none."""
    with alone(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or journals.over(workspace, journal):
            return None
        _require_same_head(workspace, journal)
        if journal.progress is Progress.APPLIED:
            return None
        if journal.progress in (Progress.APPLYING, Progress.RESTORING):
            return finish(workspace, git, journal)
        return go_back(workspace, git, journal)


def abort(workspace: Workspace) -> Outcome:
    """Take an uncommitted update back: files and index as they were. Raises MergeError without one."""
    with alone(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or journals.over(workspace, journal):
            raise MergeError(
                "There is no uncommitted update to take back; git revert undoes a committed one."
            )
        _require_same_head(workspace, journal)
        return go_back(workspace, git, journal)


def _require_same_head(workspace: Workspace, journal: Journal) -> None:
    """Forget an update that was killed half-way and then overtaken: its trees are of the past."""
    if head(workspace.git) == journal.head:
        return
    journals.close(workspace)
    raise MergeError(
        "An interrupted update was overtaken by a commit, so it was left as it is; "
        "look at git status, then run the update again."
    )


def _applied(workspace: Workspace, git: Git, journal: Journal, autostash: bool) -> Outcome:
    if autostash:
        journal = stash.push(workspace, git, journal)
    try:
        with index_locked(workspace):
            ready = prepared(workspace, git, journal)
            ready.rehearse()
            journal = journal.at(Progress.APPLYING)
            journals.write(workspace, journal)
            switch_over(workspace, journal, ready, force=False)
    except (GitError, OSError) as error:
        _take_back(workspace, git, journal, error)
        raise MergeError(f"The update cannot be applied, nothing was changed: {error}") from None
    return put_back(workspace, git, journal)


def _take_back(workspace: Workspace, git: Git, journal: Journal, cause: Exception) -> None:
    try:
        go_back(workspace, git, journal)
    except (GitError, OSError):
        raise MergeError(
            f"The update stopped half-way: {cause}; when that is solved, run scaffold update "
            "to finish it, or scaffold update --abort to go back."
        ) from None
