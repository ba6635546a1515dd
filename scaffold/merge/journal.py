"""What an update has in hand, written down in the git directory before it touches a file."""

import os
import shutil
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from scaffold.errors import MergeError
from scaffold.merge.repository import Workspace

_REFERENCE = "refs/worktree/scaffold-update"


class Progress(StrEnum):
    """How far an update of ours has come."""

    STASHING = "stashing"  # killed while it put uncommitted work aside: `resume` puts it back
    APPLYING = "applying"  # killed on the way: `resume` finishes, `abort` goes back
    APPLIED = "applied"  # all there, not committed yet: `abort` goes back
    ABORTING = "aborting"  # killed on the way back: `resume` and `abort` finish going back


class Journal(BaseModel):
    """Everything it takes to finish an update, or to take it back.

    `before` and `after` are trees of the whole repository; `stages` lists conflicted paths (from
    the repository's root) with mode and object by stage; `identical` are paths, from the root as
    well, that were on disk already, `ignored` those that the index shall not have. `conflicts` are
    all of them, relative to the workspace: those in files that git ignores have no stages. `stash`
    is the message of uncommitted work put aside, `work` its commit. `rescued` are the stashes of
    files that were edited meanwhile, `blobs` what messages name (`git show`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    progress: Progress
    prefix: str
    head: str | None
    before: str
    after: str
    stages: dict[str, dict[str, tuple[str, str]]] = {}
    identical: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    work: str | None = None
    disk: str | None = None
    rescued: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()

    @field_validator("progress", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        """Read the journal of a scaffold that took more steps."""
        return {"restoring": "applying", "returning": "aborting"}.get(str(value), value)

    def at(self, progress: Progress) -> "Journal":
        """The same update, this far."""
        return self.model_copy(update={"progress": progress})


def folder(workspace: Workspace, *, make: bool = False) -> Path:
    """Where an update keeps its journal and its own index."""
    place = workspace.git_dir / "scaffold-update"
    if make:
        place.mkdir(exist_ok=True)
    return place


def read(workspace: Workspace) -> Journal | None:
    """The journal of an update that is not over, whether of this workspace or a neighbour."""
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
        os.fsync(file.fileno())
    (place / "journal.new").replace(place / "journal.json")


def close(workspace: Workspace) -> None:
    """The update is over: forget it."""
    # The journal goes first: without it the rest means nothing.
    (folder(workspace) / "journal.json").unlink(missing_ok=True)
    shutil.rmtree(folder(workspace), ignore_errors=True)
    _unlock(workspace)
    workspace.git("update-ref", "-d", _REFERENCE)


def _keep_objects(workspace: Workspace, journal: Journal) -> None:
    """Keep what the journal names from garbage collection, however long the update stays open."""
    git = workspace.git
    blobs = {
        oid for one in journal.stages.values() for mode, oid in one.values() if mode != "160000"
    }
    lines = [f"040000 tree {journal.before}\tbefore\0", f"040000 tree {journal.after}\tafter\0"]
    lines += [f"100644 blob {oid}\t{oid}\0" for oid in sorted({*blobs, *journal.blobs})]
    tree = git("mktree", "-z", feed="".join(lines))
    parents = [word for one in (journal.work, *journal.rescued) if one for word in ("-p", one)]
    commit = git("commit-tree", tree, *parents, "-m", "What an open update of scaffold needs")
    _unlock(workspace)
    git("update-ref", _REFERENCE, commit)


def _unlock(workspace: Workspace) -> None:
    """Remove the lock on our reference that a killed git left; no other scaffold is at work."""
    (workspace.git_dir / f"{_REFERENCE}.lock").unlink(missing_ok=True)


def progress(workspace: Workspace) -> Progress | None:
    """The state of an update in this repository, None without one or once it was committed."""
    journal = read(workspace)
    if journal is None or over(workspace, journal):
        return None
    return journal.progress


def over(workspace: Workspace, journal: Journal) -> bool:
    """Whether an applied update was committed, or thrown away by other means."""
    if journal.progress is not Progress.APPLIED:
        return False
    if overtaken(workspace, journal):
        return True
    if workspace.head is None:
        return False
    staged = workspace.git(
        "diff-index", "--cached", "--name-only", "HEAD", "--", journal.prefix or "."
    )
    return not staged


def overtaken(workspace: Workspace, journal: Journal) -> bool:
    """Whether the workspace's folder was committed since; commits of neighbours do not count."""
    if workspace.head in (journal.head, None):
        return workspace.head != journal.head
    names = (f"{one}:{journal.prefix.rstrip('/')}" for one in (workspace.head, journal.before))
    now, before = (
        workspace.git("rev-parse", "--quiet", "--verify", name, allowed=(0, 1, 128))
        for name in names
    )
    return now != before
