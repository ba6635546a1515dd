"""What an update is about to do, written down in the git directory before it touches a file."""

import os
import shutil
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from scaffold.errors import MergeError
from scaffold.merge.repository import Workspace

# Of refs/worktree each linked work tree has its own, as it has its own update.
_REFERENCE = "refs/worktree/scaffold-update"


class Progress(StrEnum):
    """How far an update of ours has come."""

    STASHING = "stashing"  # killed while it put uncommitted work aside: `resume` puts it back
    APPLYING = "applying"  # killed on the way: `resume` finishes, `abort` goes back
    APPLIED = "applied"  # all there, not committed yet: `abort` goes back
    ABORTING = "aborting"  # killed on the way back: `resume` and `abort` finish going back


class Journal(BaseModel):
    """Everything it takes to finish an update, or to take it back.

    Paths are from the repository's root, except in `conflicts`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    progress: Progress
    prefix: str
    """The workspace's folder, "" or ending in "/"."""
    head: str | None
    before: str
    """The tree of the whole repository before the update."""
    after: str
    """The tree of the whole repository after it."""
    stages: dict[str, dict[str, tuple[str, str]]] = {}
    """Each conflicted path, with mode and object by stage."""
    identical: tuple[str, ...] = ()
    """Paths that were on disk already, with the content that the update brings."""
    ignored: tuple[str, ...] = ()
    """Paths that are written to the disk alone: the index shall not have them."""
    conflicts: tuple[str, ...] = ()
    """All conflicts, from the workspace's folder; those in ignored files have no stages."""
    stash: str | None = None
    """The message of the stash with the uncommitted work put aside."""
    work: str | None = None
    """The commit of that stash."""
    disk: str | None = None
    """Unused; journals of other versions have it."""
    rescued: tuple[str, ...] = ()
    """The commits of stashes with files that were edited meanwhile."""
    blobs: tuple[str, ...] = ()
    """Objects that messages name (`git show BLOB`)."""

    @field_validator("progress", mode="before")
    @classmethod
    def _read_progress(cls, value: object) -> object:
        """Accept the steps that journals of other versions name."""
        return {"restoring": "applying", "returning": "aborting"}.get(str(value), value)

    def at(self, progress: Progress) -> "Journal":
        """Return the same update, this far."""
        return self.model_copy(update={"progress": progress})


def folder(workspace: Workspace, *, make: bool = False) -> Path:
    """Return where an update keeps its journal and its own index."""
    place = workspace.git_dir / "scaffold-update"
    if make:
        place.mkdir(exist_ok=True)
    return place


def read(workspace: Workspace) -> Journal | None:
    """Return the journal of an update that was not closed, of this workspace or a neighbour."""
    path = folder(workspace) / "journal.json"
    try:
        return Journal.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise MergeError(
            f"The journal of an update, {path}, was written by another scaffold; use that one."
        ) from None


def write(workspace: Workspace, journal: Journal) -> None:
    """Replace the journal in one step, and on the disk before this returns."""
    _keep_objects(workspace, journal)
    place = folder(workspace, make=True)
    with (place / "journal.new").open("w", encoding="utf-8") as file:
        file.write(journal.model_dump_json())
        file.flush()
        # A journal that a power cut empties would leave a half-written update without a way back.
        os.fsync(file.fileno())
    (place / "journal.new").replace(place / "journal.json")


def close(workspace: Workspace) -> None:
    """Forget an update: it is over."""
    # The journal goes first: without it the rest means nothing.
    (folder(workspace) / "journal.json").unlink(missing_ok=True)
    shutil.rmtree(folder(workspace), ignore_errors=True)
    _remove_lock(workspace)
    workspace.git("update-ref", "-d", _REFERENCE)


def _keep_objects(workspace: Workspace, journal: Journal) -> None:
    """Keep what the journal names from garbage collection, however long the update stays open."""
    git = workspace.git
    blobs = {
        # A submodule's commit (160000) is in another repository.
        oid
        for versions in journal.stages.values()
        for mode, oid in versions.values()
        if mode != "160000"
    }
    lines = [f"040000 tree {journal.before}\tbefore\0", f"040000 tree {journal.after}\tafter\0"]
    lines += [f"100644 blob {oid}\t{oid}\0" for oid in sorted({*blobs, *journal.blobs})]
    tree = git("mktree", "-z", feed="".join(lines))
    parents = [word for one in (journal.work, *journal.rescued) if one for word in ("-p", one)]
    commit = git("commit-tree", tree, *parents, "-m", "What an open update of scaffold needs")
    _remove_lock(workspace)
    git("update-ref", _REFERENCE, commit)


def _remove_lock(workspace: Workspace) -> None:
    """Remove the lock on our reference that a killed git left; no other scaffold is at work."""
    (workspace.git_dir / f"{_REFERENCE}.lock").unlink(missing_ok=True)


def read_progress(workspace: Workspace) -> Progress | None:
    """Return how far an update in this repository is, None without one or once it was committed."""
    journal = read(workspace)
    if journal is None or is_over(workspace, journal):
        return None
    return journal.progress


def is_over(workspace: Workspace, journal: Journal) -> bool:
    """Tell whether an applied update was committed, or thrown away by other means."""
    if journal.progress is not Progress.APPLIED:
        return False
    if is_overtaken(workspace, journal):
        return True
    if workspace.head is None:
        return False
    staged = workspace.git(
        "diff-index", "--cached", "--name-only", "HEAD", "--", journal.prefix or "."
    )
    return not staged


def is_overtaken(workspace: Workspace, journal: Journal) -> bool:
    """Tell whether the workspace's folder was committed since; neighbours do not count."""
    if workspace.head in (journal.head, None):
        return workspace.head != journal.head
    names = (f"{one}:{journal.prefix.rstrip('/')}" for one in (workspace.head, journal.before))
    now, before = (
        workspace.git("rev-parse", "--quiet", "--verify", name, allowed=(0, 1, 128))
        for name in names
    )
    return now != before
