"""Edits made while an update was half done, or since: kept in a stash before they are written over."""

from scaffold.merge import journal as journals
from scaffold.merge import stash
from scaffold.merge.journal import Journal
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace
from scaffold.merge.worktree import edited


def rescue(workspace: Workspace, git: Git, journal: Journal, trees: tuple[str, str]) -> str | None:
    """Keep in a stash what was edited in the files that are about to be written over."""
    place = journals.folder(workspace)
    paths = edited(workspace, git, place, trees, journal.identical)
    if not paths:
        return None
    index = place / "rescue"
    own = git.using(GIT_INDEX_FILE=index)
    own("read-tree", journal.before)
    own(
        "update-index", "--add", "--replace", "-z", "--stdin", feed="".join(f"{p}\0" for p in paths)
    )
    message = "scaffold kept files that were edited during an update"
    stash.keep(git, workspace.head, journal.before, own("write-tree"), message)
    return message
