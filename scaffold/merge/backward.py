"""The way back: from wherever an update is to the files and the index before it."""

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.forward import Outcome, finish, lay_on_top, prepared
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.locks import index_locked
from scaffold.merge.repository import Git
from scaffold.merge.rescue import rescue
from scaffold.merge.workspace import Workspace


def go_back(workspace: Workspace, git: Git, journal: Journal) -> Outcome:
    """From wherever an update is to the files and the index before it."""
    rescued: list[str | None] = []
    if journal.progress is Progress.RESTORING:
        rescued.append(finish(workspace, git, journal).rescued)
        journal = journals.read(workspace) or journal
    if journal.progress not in (Progress.STASHING, Progress.RETURNING):
        journal = journal.at(Progress.ABORTING)
        journals.write(workspace, journal)
        with index_locked(workspace):
            trees = (journal.disk or journal.after, journal.before)
            rescued.append(rescue(workspace, git, journal, trees))
            ready = prepared(workspace, git, journal, trees)
            ready.run(force=True)
            ready.finish(workspace)
    commit = journal.work or stash.find(git, journal.stash)
    if work := stash.read(workspace, git, journals.folder(workspace), commit):
        if journal.progress is not Progress.ABORTING:
            trees = (journal.before, work.files)
            rescued.append(rescue(workspace, git, journal, trees))
        journals.write(workspace, journal.at(Progress.RETURNING))
        lay_on_top(workspace, git, journal.before, work)
    journals.close(workspace)
    return Outcome(rescued=next(filter(None, rescued), None))
