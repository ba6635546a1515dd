"""Nobody else at work: one scaffold at a time in a repository, and no git that writes the index."""

import os
import shlex
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.obstacles import blocked
from scaffold.merge.plan import Plan, committed
from scaffold.merge.repository import (
    Git,
    Workspace,
    head,
    require_clean,
    require_known,
    require_settled,
)
from scaffold.merge.worktree import listed

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


def require_ready(workspace: Workspace, *, autostash: bool = False) -> None:
    """Raise MergeError unless an update may start here.

    Refused: a merge, rebase or the like under way; an update of ours that is unfinished or not yet
    committed; conflicts; files git does not have; uncommitted changes, unless `autostash`.
    """
    if (journal := journals.read(workspace)) and not journals.over(workspace, journal):
        raise MergeError(_unfinished(workspace, journal))
    require_settled(workspace)
    require_known(workspace)
    if not (autostash and workspace.head):
        require_clean(workspace)


def _unfinished(workspace: Workspace, journal: Journal) -> str:
    folder = place_of(workspace, journal)
    abort = command(folder, "--abort")
    if journal.progress is Progress.APPLIED:
        return f"The last update of {folder} is not committed yet; commit it, or run {abort}."
    return (
        f"An update of {folder} was interrupted; run {command(folder)} to finish it, "
        f"or {abort} to go back."
    )


def place_of(workspace: Workspace, journal: Journal) -> Path:
    """The folder that an update is of."""
    return workspace.top / journal.prefix


def command(folder: Path, *options: str) -> str:
    """The command that goes on with an update, from wherever one is."""
    return " ".join(["scaffold update", *options, shlex.quote(str(folder))])


def require_unmoved(plan: Plan) -> None:
    """Raise MergeError when commits or files came in between."""
    workspace = plan.workspace
    if head(workspace.git) != workspace.head or committed(plan.lab) != plan.before:
        raise MergeError("The workspace was committed to in the meantime; run it again.")
    before, after = (listed(workspace, plan.lab.git, one) for one in (plan.before, plan.after))
    cut = len(workspace.prefix)
    added = {path[cut:] for path in after.keys() - before.keys()}
    leaving = {path[cut:] for path in before.keys() - after.keys()}
    if found := blocked(workspace, added - plan.identical, leaving):
        raise MergeError(f"{found[0]} appeared in the meantime; run it again.")


def keep_objects(plan: Plan) -> None:
    """Copy what the plan needs from the lab into the repository: unreferenced objects, no files."""
    git, workspace = plan.lab.git, plan.workspace
    if workspace.head is None:
        workspace.git("write-tree")
    single = {blob.oid for stages in plan.stages.values() for blob in stages.values()}
    single |= {change.blob for change in plan.changes if change.blob}
    asked = "\n".join([plan.after, *single, "--not", plan.before, ""])
    git("pack-objects", "--quiet", "--revs", str(plan.lab.folder / "needed"), feed=asked)
    for pack in plan.lab.folder.glob("needed-*.pack"):
        feed = pack.read_bytes().decode("utf-8", "surrogateescape")
        workspace.git("unpack-objects", "-q", feed=feed)


def journal_of(plan: Plan) -> Journal:
    """All that finishing the plan, or taking it back, takes."""
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
