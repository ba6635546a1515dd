"""Nobody else at work: one scaffold at a time in a repository, and no git that writes the index."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.repository import Git
from scaffold.merge.workspace import Workspace

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_LOCK_MARK = b"held by scaffold\n"


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
            except OSError:
                break  # a file system without locks
        _clear_lock(workspace)
        yield Git(workspace.top, workspace.git.variables, held=(handle,))
    finally:
        os.close(handle)


@contextmanager
def index_locked(workspace: Workspace) -> Generator[None]:
    """Keep every other git from writing the index. Raises MergeError when one is."""
    lock = workspace.git_dir / "index.lock"
    try:
        _take(lock, workspace.git_dir / "scaffold-index-lock")
    except FileExistsError:
        raise MergeError(
            f"Another git is at work in {workspace.top} (index.lock is there); "
            "wait until it is done, or remove the lock if none is."
        ) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path, mark: Path) -> None:
    """Make the lock. Raises FileExistsError when there is one."""
    mark.write_bytes(_LOCK_MARK)
    try:
        # Linked, not written: it is there whole, with the mark, or not at all.
        os.link(mark, lock)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links (FAT, many network and shared folders).
        with lock.open("xb") as file:
            file.write(_LOCK_MARK)
    finally:
        mark.unlink(missing_ok=True)


def _clear_lock(workspace: Workspace) -> None:
    """Remove the index lock that a killed scaffold left, never another program's."""
    lock = workspace.git_dir / "index.lock"
    if lock.is_file() and lock.read_bytes() == _LOCK_MARK:
        lock.unlink()
