"""The way on: from wherever an update is to its end, uncommitted work back on top."""

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import Sides, forward, sides
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import index_locked
from scaffold.merge.outcome import Outcome, outcome
from scaffold.merge.repository import Git
from scaffold.merge.rescue import Ready, make_ready
from scaffold.merge.workspace import Workspace


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
