"""What an update has in hand, written down in the git directory before it touches a file."""

import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from scaffold.errors import MergeError
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_LOCK_MARK = b"held by scaffold\n"


class Progress(StrEnum):
    """How far an update of ours has come."""

    STASHING = "stashing"  # killed while it put uncommitted work aside: `resume` puts it back
    APPLYING = "applying"  # killed on the way: `resume` finishes, `abort` goes back
    RESTORING = "restoring"  # the same, with uncommitted work half put back
    APPLIED = "applied"  # all there, not committed yet: `abort` goes back
    ABORTING = "aborting"  # killed on the way back: `resume` and `abort` finish going back
    RETURNING = "returning"  # the same, with uncommitted work half put back


class Journal(BaseModel):
    """Everything it takes to finish an update, or to take it back.

    `before` and `after` are trees of the whole repository; `stages` lists conflicted paths (from
    the repository's root) with mode and object by stage; `identical` are paths, from the root as
    well, that were on disk already. `conflicts` are all of them, relative to the workspace: those in
    files that git ignores have no stages. `stash` is the message of uncommitted work put aside,
    `work` its commit, and `disk` the tree of `after` with that work on top, once it is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    progress: Progress
    prefix: str
    head: str | None
    before: str
    after: str
    stages: dict[str, dict[str, tuple[str, str]]] = {}
    identical: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    stash: str | None = None
    work: str | None = None
    disk: str | None = None

    def at(self, progress: Progress) -> "Journal":
        """The same update, this far."""
        return self.model_copy(update={"progress": progress})


def folder(workspace: Workspace) -> Path:
    """Where an update keeps its journal and its own index."""
    return workspace.git_dir / "scaffold-update"


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
    place = folder(workspace)
    place.mkdir(exist_ok=True)
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
    if journal.head != workspace.head:
        return True
    if journal.head is None:
        return False
    staged = workspace.git(
        "diff-index", "--cached", "--name-only", "HEAD", "--", journal.prefix or "."
    )
    return not staged


@contextmanager
def alone(workspace: Workspace) -> Generator[Git]:
    """git for as long as no other scaffold works in this repository. Raises MergeError.

    The lock is on the git directory itself, leaves no trace, and is held by every git started:
    when this process is killed it lasts until the git it left behind has ended.
    """
    if fcntl is None:
        _clear_lock(workspace)
        yield workspace.git
        return
    handle = os.open(workspace.git_dir, os.O_RDONLY)
    try:
        for patience in range(50, -1, -1):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    raise MergeError(
                        f"Another scaffold is at work in {workspace.top}; wait until it is done."
                    ) from None
                time.sleep(0.1)
        _clear_lock(workspace)
        yield Git(workspace.top, workspace.git.variables, held=(handle,))
    finally:
        os.close(handle)


@contextmanager
def index_locked(workspace: Workspace) -> Generator[None]:
    """Keep every other git from writing the index. Raises MergeError when one is."""
    lock = workspace.git_dir / "index.lock"
    mark = workspace.git_dir / "scaffold-index-lock"
    mark.write_bytes(_LOCK_MARK)
    try:
        # Linked, not written: it is there whole, with the mark, or not at all.
        os.link(mark, lock)
    except FileExistsError:
        raise MergeError(
            f"Another git is at work in {workspace.top} (index.lock is there); "
            "wait until it is done, or remove the lock if none is."
        ) from None
    finally:
        mark.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _clear_lock(workspace: Workspace) -> None:
    """Remove the index lock that a killed scaffold left, never another program's."""
    lock = workspace.git_dir / "index.lock"
    if lock.is_file() and lock.read_bytes() == _LOCK_MARK:
        lock.unlink()
