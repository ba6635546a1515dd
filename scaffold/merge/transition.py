"""From the team's files to the merged ones and back: journalled, so that a kill costs nothing."""

from dataclasses import dataclass, replace

from scaffold.errors import MergeError
from scaffold.git import GitError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import alone, index_locked
from scaffold.merge.plan import Plan
from scaffold.merge.ready import journal_of, keep_objects, require_ready, require_unmoved
from scaffold.merge.repository import Git
from scaffold.merge.rescue import rescue
from scaffold.merge.workspace import Workspace, head
from scaffold.merge.worktree import Switch, restore, switch


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left to say afterwards.

    `stash` names uncommitted work that is not put back yet (`git stash pop`), `rescued` the stash
    with files that were edited while an update was half done or before it was taken back.
    """

    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    rescued: str | None = None


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
            return _finish(workspace, git, journal)
        return _back(workspace, git, journal)


def abort(workspace: Workspace) -> Outcome:
    """Take an uncommitted update back: files and index as they were. Raises MergeError without one."""
    with alone(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or journals.over(workspace, journal):
            raise MergeError(
                "There is no uncommitted update to take back; git revert undoes a committed one."
            )
        _require_same_head(workspace, journal)
        return _back(workspace, git, journal)


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
            ready = _switch(workspace, git, journal)
            ready.rehearse()
            journal = journal.at(Progress.APPLYING)
            journals.write(workspace, journal)
            _forward(workspace, journal, ready, force=False)
    except (GitError, OSError) as error:
        _take_back(workspace, git, journal, error)
        raise MergeError(f"The update cannot be applied, nothing was changed: {error}") from None
    return _put_back(workspace, git, journal)


def _finish(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever a killed update is to its end."""
    if journal.progress is Progress.RESTORING:
        rescued = rescue(workspace, git, journal, (journal.after, journal.disk or journal.after))
    else:
        with index_locked(workspace):
            rescued = rescue(workspace, git, journal, (journal.before, journal.after))
            _forward(workspace, journal, _switch(workspace, git, journal), force=True)
    return replace(_put_back(workspace, git, journal), rescued=rescued)


def _take_back(workspace: Workspace, git: Git, journal: Journal, cause: Exception) -> None:
    try:
        _back(workspace, git, journal)
    except (GitError, OSError):
        raise MergeError(
            f"The update stopped half-way: {cause}; when that is solved, run scaffold update "
            "to finish it, or scaffold update --abort to go back."
        ) from None


def _switch(workspace: Workspace, git: Git, journal: Journal) -> Switch:
    place = journals.folder(workspace)
    place.mkdir(exist_ok=True)
    trees = (journal.before, journal.after)
    return switch(
        workspace, git, place, trees, identical=journal.identical, conflicted=journal.stages
    )


def _forward(workspace: Workspace, journal: Journal, ready: Switch, *, force: bool) -> None:
    ready.run(force=force)
    ready.stage(journal.stages)
    ready.finish(workspace)


def _put_back(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """The end of an update: uncommitted work goes back on top, if it fits without conflicts."""
    work = stash.read(workspace, git, journals.folder(workspace), journal.work)
    now = None
    if work and not journal.stages:
        now = stash.onto(git, journal.head, journal.after, work)
    if now:
        journal = journal.model_copy(update={"disk": now.files}).at(Progress.RESTORING)
        journals.write(workspace, journal)
        _restore(workspace, git, journal.after, now)
    journals.write(workspace, journal.at(Progress.APPLIED))
    return Outcome(journal.conflicts, journal.stash if work and not now else None)


def _back(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever an update is to the files and the index before it."""
    rescued: list[str | None] = []
    if journal.progress is Progress.RESTORING:
        rescued.append(_finish(workspace, git, journal).rescued)
        journal = journals.read(workspace) or journal
    if journal.progress not in (Progress.STASHING, Progress.RETURNING):
        journal = journal.at(Progress.ABORTING)
        journals.write(workspace, journal)
        with index_locked(workspace):
            trees = (journal.disk or journal.after, journal.before)
            rescued.append(rescue(workspace, git, journal, trees))
            _return(workspace, git, journal, trees)
    commit = journal.work or stash.find(git, journal.stash)
    if work := stash.read(workspace, git, journals.folder(workspace), commit):
        if journal.progress is not Progress.ABORTING:
            trees = (journal.before, work.files)
            rescued.append(rescue(workspace, git, journal, trees))
        journals.write(workspace, journal.at(Progress.RETURNING))
        _restore(workspace, git, journal.before, work)
    journals.close(workspace)
    return Outcome(rescued=next(filter(None, rescued), None))


def _return(workspace: Workspace, git: Git, journal: Journal, trees: tuple[str, str]) -> None:
    ready = switch(
        workspace,
        git,
        journals.folder(workspace),
        trees,
        identical=journal.identical,
        conflicted=journal.stages,
    )
    ready.run(force=True)
    ready.finish(workspace)


def _restore(workspace: Workspace, git: Git, base: str, work: stash.Work) -> None:
    with index_locked(workspace):
        place = journals.folder(workspace)
        restore(workspace, git, place, base, work.files, work.index)
    stash.drop(git, work.commit)
