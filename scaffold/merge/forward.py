"""The way on: from wherever an update is to its end, uncommitted work back on top."""

from dataclasses import dataclass, replace

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import index_locked
from scaffold.merge.repository import Git
from scaffold.merge.rescue import rescue
from scaffold.merge.workspace import Workspace
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


def finish(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever a killed update is to its end."""
    if journal.progress is Progress.RESTORING:
        rescued = rescue(workspace, git, journal, (journal.after, journal.disk or journal.after))
    else:
        with index_locked(workspace):
            rescued = rescue(workspace, git, journal, (journal.before, journal.after))
            switch_over(workspace, journal, prepared(workspace, git, journal), force=True)
    return replace(put_back(workspace, git, journal), rescued=rescued)


def prepared(
    workspace: Workspace, git: Git, journal: Journal, trees: tuple[str, str] | None = None
) -> Switch:
    """The update's switch, from before it to after it unless between other `trees`."""
    place = journals.folder(workspace)
    place.mkdir(exist_ok=True)
    trees = trees or (journal.before, journal.after)
    return switch(
        workspace, git, place, trees, identical=journal.identical, conflicted=journal.stages
    )


def switch_over(workspace: Workspace, journal: Journal, ready: Switch, *, force: bool) -> None:
    """Write the files, then the index with its conflicts. Raises GitError."""
    ready.run(force=force)
    ready.stage(journal.stages)
    ready.finish(workspace)


def put_back(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """The end of an update: uncommitted work goes back on top, if it fits without conflicts."""
    work = stash.read(workspace, git, journals.folder(workspace), journal.work)
    now = None
    if work and not journal.stages:
        now = stash.onto(git, journal.head, journal.after, work)
    if now:
        journal = journal.model_copy(update={"disk": now.files}).at(Progress.RESTORING)
        journals.write(workspace, journal)
        lay_on_top(workspace, git, journal.after, now)
    journals.write(workspace, journal.at(Progress.APPLIED))
    return Outcome(journal.conflicts, journal.stash if work and not now else None)


def lay_on_top(workspace: Workspace, git: Git, base: str, work: stash.Work) -> None:
    """Put uncommitted work on top of the tree `base`, and forget its stash."""
    with index_locked(workspace):
        place = journals.folder(workspace)
        restore(workspace, git, place, base, work.files, work.index)
    stash.drop(git, work.commit)
