"""The way back: from wherever an update is to the files and the index before it."""

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.goal import backward, sides
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import index_locked
from scaffold.merge.outcome import Outcome, outcome
from scaffold.merge.repository import Git
from scaffold.merge.rescue import make_ready
from scaffold.merge.workspace import Workspace


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
