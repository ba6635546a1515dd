"""From the team's files to the merged ones and back: journalled, so that a kill costs nothing."""

from dataclasses import replace

from scaffold.errors import MergeError, ToolError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import Sides, aside, backward, forward, sides
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.plan import Plan
from scaffold.merge.ready import (
    alone,
    command,
    index_locked,
    journal_of,
    keep_objects,
    place_of,
    require_ready,
    require_unmoved,
)
from scaffold.merge.repository import Git, Workspace
from scaffold.merge.rescue import Ready, make_ready
from scaffold.merge.result import Outcome, bring_back, outcome
from scaffold.merge.worktree import look


def go_back(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever an update is to the files and the index before it."""
    with index_locked(workspace):
        stash.keep_listed(git, journal)
        known = sides(workspace, git, journal)
        ready = make_ready(workspace, git, journal, backward(known))
        journal = ready.journal.at(Progress.ABORTING)
        journals.write(workspace, journal)
        ready.switch.run()
    stashed = bool(known.work and known.worked & {*ready.left})
    if not stashed:
        stash.drop(git, journal.work or stash.find(git, journal.stash))
    apart = known.apart(ready.left)
    result = outcome(workspace, git, journal, ready.left, stashed=stashed, apart=apart)
    journals.close(workspace)
    return result


def finish(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever a killed update is to its end."""
    with index_locked(workspace):
        stash.keep_listed(git, journal)
        known = sides(workspace, git, journal)
        ready = make_ready(workspace, git, journal, forward(known))
        switch_over(workspace, ready.journal, ready)
    return settle(workspace, git, known, ready)


def switch_over(_workspace: Workspace, _journal: Journal, ready: Ready) -> None:
    """Write the files, then the index with its conflicts. Raises GitError."""
    ready.switch.run()


def settle(workspace: Workspace, git: Git, known: Sides, ready: Ready) -> Outcome:
    """Forget the stash if all of it is on disk again, and say what is left of it."""
    back = known.work is None or (known.now and not known.worked & {*ready.left})
    if back:
        stash.drop(git, ready.journal.work)
    journal = ready.journal.at(Progress.APPLIED)
    journals.write(workspace, journal)
    apart = known.apart(ready.left) if known.now else []
    return outcome(workspace, git, journal, ready.left, stashed=not back, apart=apart)


def apply(plan: Plan, *, autostash: bool = False) -> Outcome:
    """Bring the plan into the work tree and the index; commits nothing and runs no hook.

    Raises MergeError with nothing changed when the workspace is not as it was planned.
    """
    workspace = plan.workspace
    with alone(workspace) as git:
        require_ready(workspace, autostash=autostash)
        if not plan.empty:
            require_unmoved(plan)
            journals.close(workspace)
            keep_objects(plan)
            return _applied(workspace, git, journal_of(plan), autostash)
    return Outcome(tuple(one.path for one in plan.conflicts))


def resume(workspace: Workspace) -> Outcome | None:
    """Finish an update or an abort that was killed; None when there is none.

    Raises MergeError in another folder than the update's.
    """
    with alone(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or journals.over(workspace, journal):
            return None
        if journal.progress is Progress.APPLIED:
            return None
        workspace = _of_journal(workspace, journal)
        _require_not_overtaken(workspace, git, journal)
        if journal.progress is Progress.APPLYING:
            return finish(workspace, git, journal)
        return go_back(workspace, git, journal)


def abort(workspace: Workspace) -> Outcome:
    """Take an uncommitted update back: files and index as they were. Raises MergeError without one."""
    with alone(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or _is_gone(workspace, git, journal):
            raise MergeError(
                "There is no uncommitted update to take back; git revert undoes a committed one."
                f"{_put_aside(workspace, git, journal)}"
            )
        workspace = _of_journal(workspace, journal)
        _require_not_overtaken(workspace, git, journal)
        return go_back(workspace, git, journal)


def _of_journal(workspace: Workspace, journal: Journal) -> Workspace:
    """The workspace that the journal is of; refuse in another folder than its own."""
    folder = place_of(workspace, journal)
    if workspace.prefix != journal.prefix and folder.is_dir():
        raise MergeError(
            f"The update that is not finished here is of {folder}; run {command(folder)} to finish"
            f" it, or {command(folder, '--abort')} to go back."
        )
    # Where the folder is gone, no other is meant: what is brought back brings the folder back.
    return replace(workspace, folder=folder, prefix=journal.prefix)


def _is_gone(workspace: Workspace, git: Git, journal: Journal) -> bool:
    """Whether nothing of an update is left: not in the index, and not on the disk either."""
    if journals.overtaken(workspace, journal) or not journals.over(workspace, journal):
        return journals.over(workspace, journal)
    known = sides(workspace, git, journal)
    there = look(workspace, git, journals.folder(workspace, make=True), known.own).disk
    return not any(there[path] == known.after.get(path) for path in known.own)


def _require_not_overtaken(workspace: Workspace, git: Git, journal: Journal) -> None:
    """Forget an update that was killed half-way and then overtaken: its trees are of the past."""
    if not journals.overtaken(workspace, journal):
        return
    text = (
        "An interrupted update was overtaken by a commit, so it was left as it is; "
        "look at git status, then run the update again."
    )
    stash.keep_listed(git, journal)
    text += _put_aside(workspace, git, journal)
    journals.close(workspace)
    raise MergeError(text)


def _put_aside(workspace: Workspace, git: Git, journal: Journal | None) -> str:
    """Name the command that brings back an update's stash; empty when there is none any more."""
    commit = stash.find(git, journal.stash) if journal else None
    if commit is None:
        return ""
    return f" The uncommitted work put aside is in the stash: {bring_back(workspace, git, commit)}"


def _applied(workspace: Workspace, git: Git, journal: Journal, autostash: bool) -> Outcome:
    try:
        with index_locked(workspace):
            if autostash:
                journal = stash.put_aside(workspace, git, journal)
            known = sides(workspace, git, journal)
            if journal.work:
                make_ready(workspace, git, journal, aside(known), rescue=False).switch.run()
            ready = make_ready(workspace, git, journal, forward(known), rescue=False)
            journal = journal.at(Progress.APPLYING)
            journals.write(workspace, journal)
            switch_over(workspace, journal, ready)
    except (MergeError, ToolError, OSError) as error:
        raise _taken_back(workspace, git, error) from None
    return settle(workspace, git, known, replace(ready, journal=journal))


def _taken_back(workspace: Workspace, git: Git, cause: Exception) -> MergeError:
    """What to raise for an update that failed; it is taken back if that is possible."""
    journal = journals.read(workspace)
    if journal is None:
        journals.close(workspace)
        return MergeError(_refused(cause))
    try:
        outcome = go_back(workspace, git, journal)
    except (MergeError, ToolError, OSError):
        return MergeError(
            f"The update stopped half-way: {cause}; when that is solved, run"
            f" {command(workspace.folder)} to finish it, or"
            f" {command(workspace.folder, '--abort')} to go back."
        )
    told = "".join(f" What was edited meanwhile: {one}" for one in outcome.commands)
    return MergeError(f"{_refused(cause)}{told}")


def _refused(cause: Exception) -> str:
    if isinstance(cause, MergeError):
        return str(cause)
    return f"The update cannot be applied, nothing was changed: {cause}"
