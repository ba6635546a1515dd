"""From the team's files to the merged ones and back: a kill at any moment loses nothing.

`apply` writes objects, then the journal, the files, the index, and the journal again. `resume` and
`abort` start from what the journal says.
"""

from dataclasses import replace

from scaffold.errors import MergeError, ToolError
from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import (
    KnownVersions,
    aim_backward,
    aim_forward,
    aim_without_work,
    read_known,
)
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.plans import Plan, keep_objects, require_unmoved
from scaffold.merge.ready import (
    folder_of_update,
    format_command,
    lock_index,
    lock_repository,
    require_ready,
)
from scaffold.merge.report import MergeReport, command_to_bring_back, create_report
from scaffold.merge.repository import Git, Workspace
from scaffold.merge.rescue import Ready, prepare
from scaffold.merge.worktree import take_snapshot


def apply(plan: Plan, *, autostash: bool = False) -> MergeReport:
    """Write the plan into the work tree and the index; commit nothing and run no hook.

    Raises MergeError with nothing changed when the workspace is not as it was planned.
    """
    workspace = plan.workspace
    with lock_repository(workspace) as git:
        require_ready(workspace, autostash=autostash)
        if plan.is_empty:
            return MergeReport(conflicts=tuple(one.path for one in plan.conflicts))
        require_unmoved(plan)
        # What is left of an update that was committed.
        journals.close(workspace)
        keep_objects(plan)
        return _apply(workspace, git, _start_journal(plan), autostash)


def resume(workspace: Workspace) -> MergeReport | None:
    """Finish an update or an abort that was killed; None when there is none.

    Raises MergeError in another folder than the update's.
    """
    with lock_repository(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or journal.progress is Progress.APPLIED:
            return None
        workspace = _move_to_journal(workspace, journal)
        _require_not_overtaken(workspace, git, journal)
        if journal.progress is Progress.APPLYING:
            return _finish(workspace, git, journal)
        return _go_back(workspace, git, journal)


def abort(workspace: Workspace) -> MergeReport:
    """Take an uncommitted update back: files and index as they were.

    Raises MergeError when there is none, and in another folder than the update's.
    """
    with lock_repository(workspace) as git:
        journal = journals.read(workspace)
        if journal is None or _is_gone(workspace, git, journal):
            raise MergeError(
                "Found no uncommitted update to take back; git revert undoes a committed one."
                f"{_name_stash(workspace, git, journal)}"
            )
        workspace = _move_to_journal(workspace, journal)
        _require_not_overtaken(workspace, git, journal)
        return _go_back(workspace, git, journal)


def switch_over(_workspace: Workspace, _journal: Journal, ready: Ready) -> None:
    """Write the files, then the index with its conflicts. Raises GitError.

    Tests stop an update here: the journal says that it is applying, and nothing is written yet.
    """
    ready.switch.run()


def _start_journal(plan: Plan) -> Journal:
    prefix = plan.workspace.prefix
    return Journal(
        progress=Progress.APPLYING,
        prefix=prefix,
        head=plan.workspace.head,
        before=plan.before,
        after=plan.after,
        stages={
            prefix + path: {str(number): (blob.mode, blob.oid) for number, blob in stages.items()}
            for path, stages in plan.stages.items()
        },
        identical=tuple(prefix + path for path in plan.identical),
        ignored=tuple(prefix + path for path in plan.ignored),
        blobs=tuple(sorted({change.blob for change in plan.changes if change.blob})),
        conflicts=tuple(one.path for one in plan.conflicts),
    )


def _apply(workspace: Workspace, git: Git, journal: Journal, autostash: bool) -> MergeReport:
    try:
        with lock_index(workspace):
            if autostash:
                journal = stash.put_aside(workspace, git, journal)
            known = read_known(workspace, git, journal)
            if journal.work:
                goal = aim_without_work(known)
                prepare(workspace, git, journal, goal, rescue=False).switch.run()
            # Without rescue: whoever edits a file right now shall hear of it before it is
            # written over.
            ready = prepare(workspace, git, journal, aim_forward(known), rescue=False)
            # From here on an update that is killed will be finished.
            journal = journal.at(Progress.APPLYING)
            journals.write(workspace, journal)
            switch_over(workspace, journal, ready)
    except (MergeError, ToolError, OSError) as error:
        raise _take_back(workspace, git, error) from None
    return _settle(workspace, git, known, replace(ready, journal=journal))


def _finish(workspace: Workspace, git: Git, journal: Journal) -> MergeReport:
    """Bring a killed update to its end, from wherever it is."""
    with lock_index(workspace):
        stash.keep_listed(git, journal)
        known = read_known(workspace, git, journal)
        ready = prepare(workspace, git, journal, aim_forward(known))
        switch_over(workspace, ready.journal, ready)
    return _settle(workspace, git, known, ready)


def _settle(workspace: Workspace, git: Git, known: KnownVersions, ready: Ready) -> MergeReport:
    """Forget the stash if all of it is on disk again, and report what is left of it."""
    left = {*ready.left}
    is_back = known.work is None or bool(known.work_on_top and not known.worked_on & left)
    if is_back:
        stash.drop(git, ready.journal.work)
    journal = ready.journal.at(Progress.APPLIED)
    journals.write(workspace, journal)
    stashed = known.find_stashed(left) if known.work_on_top else []
    return create_report(
        workspace, git, journal, ready.left, stashed=not is_back, not_on_disk=stashed
    )


def _go_back(workspace: Workspace, git: Git, journal: Journal) -> MergeReport:
    """Bring files and index back to what they were before an update, from wherever it is."""
    with lock_index(workspace):
        stash.keep_listed(git, journal)
        known = read_known(workspace, git, journal)
        ready = prepare(workspace, git, journal, aim_backward(known))
        journal = ready.journal.at(Progress.ABORTING)
        journals.write(workspace, journal)
        ready.switch.run()
    stashed = bool(known.work and known.worked_on & {*ready.left})
    if not stashed:
        # A kill may have come between the stash and the journal that names its commit.
        stash.drop(git, journal.work or stash.find(git, journal.stash))
    report = create_report(
        workspace,
        git,
        journal,
        ready.left,
        stashed=stashed,
        not_on_disk=known.find_stashed(ready.left),
    )
    # Last, so that an abort that is killed can be run again.
    journals.close(workspace)
    return report


def _take_back(workspace: Workspace, git: Git, cause: Exception) -> MergeError:
    """Take an update back that failed, if that is possible; return the error to raise."""
    journal = journals.read(workspace)
    if journal is None:
        journals.close(workspace)
        return MergeError(_describe_failure(cause))
    try:
        report = _go_back(workspace, git, journal)
    except (MergeError, ToolError, OSError):
        return MergeError(
            f"The update stopped half-way: {cause}; when that is solved, run"
            f" {format_command(workspace.folder)} to finish it, or"
            f" {format_command(workspace.folder, '--abort')} to go back."
        )
    edits = "".join(f" What was edited meanwhile: {command}" for command in report.commands)
    return MergeError(f"{_describe_failure(cause)}{edits}")


def _describe_failure(cause: Exception) -> str:
    if isinstance(cause, MergeError):
        return str(cause)
    return f"The update cannot be applied, nothing was changed: {cause}"


def _move_to_journal(workspace: Workspace, journal: Journal) -> Workspace:
    """Return the workspace that the journal is of; refuse in another folder than its own."""
    folder = folder_of_update(workspace, journal)
    if workspace.prefix != journal.prefix and folder.is_dir():
        raise MergeError(
            f"The update that is not finished here is of {folder}; run {format_command(folder)} to"
            f" finish it, or {format_command(folder, '--abort')} to go back."
        )
    # Where the folder is gone, no other is meant: what is brought back brings the folder back.
    return replace(workspace, folder=folder, prefix=journal.prefix)


def _is_gone(workspace: Workspace, git: Git, journal: Journal) -> bool:
    """Tell whether nothing of an update is left: not in the index, and not on the disk either."""
    is_over = journals.is_over(workspace, journal)
    if not is_over or journals.is_overtaken(workspace, journal):
        return is_over
    known = read_known(workspace, git, journal)
    place = journals.folder(workspace, make=True)
    # The index was reset by hand; the files may still be on the disk.
    disk = take_snapshot(workspace, git, place, known.own).disk
    return not any(disk[path] == known.after.get(path) for path in known.own)


def _require_not_overtaken(workspace: Workspace, git: Git, journal: Journal) -> None:
    """Forget an update that was killed half-way and then overtaken: its trees are of the past."""
    if not journals.is_overtaken(workspace, journal):
        return
    stash.keep_listed(git, journal)
    text = (
        "An interrupted update was overtaken by a commit, so it was left as it is; "
        f"look at git status, then run the update again.{_name_stash(workspace, git, journal)}"
    )
    journals.close(workspace)
    raise MergeError(text)


def _name_stash(workspace: Workspace, git: Git, journal: Journal | None) -> str:
    """Return a sentence with the command that brings back an update's stash; "" without one."""
    commit = stash.find(git, journal.stash) if journal else None
    if commit is None:
        return ""
    command = command_to_bring_back(workspace, git, commit)
    return f" The uncommitted work put aside is in the stash: {command}"
