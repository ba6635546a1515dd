"""Whether an update may start: nobody else is at work, and nothing unfinished lies around."""

import os
import shlex
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge import journal as journals
from scaffold.merge.journal import Journal, Progress
from scaffold.merge.repository import (
    Git,
    Workspace,
    list_uncommitted,
    require_marker,
    split_records,
)

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

# By its content a lock that a killed scaffold left is known from another program's.
_LOCK_MARK = b"held by scaffold\n"
_OPERATIONS = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    # A commit made while one looks for a fault is on no branch afterwards.
    "BISECT_LOG": "a bisect",
    "sequencer": "a cherry-pick or revert",
}


@contextmanager
def lock_repository(workspace: Workspace) -> Generator[Git]:
    """Yield git for as long as no other scaffold works in this repository. Raises MergeError.

    The lock is on the git directory itself, leaves no trace, and is held by every git started:
    when this process is killed it lasts until the git it left behind has ended.
    """
    if fcntl is None:
        _clear_index_lock(workspace)
        yield workspace.git
        return
    # Not a lock file: the system itself lets go of this one when the last git of ours has ended.
    handle = os.open(workspace.git_dir, os.O_RDONLY)
    try:
        # A git that a killed run left behind may need a moment: wait for five seconds.
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
        _clear_index_lock(workspace)
        yield Git(workspace.top, workspace.git.variables, held=(handle,))
    finally:
        os.close(handle)


@contextmanager
def lock_index(workspace: Workspace) -> Generator[None]:
    """Keep every other git from writing the index. Raises MergeError when one is writing it."""
    lock = workspace.git_dir / "index.lock"
    try:
        _create_index_lock(lock, workspace.git_dir / "scaffold-index-lock")
    except FileExistsError:
        raise MergeError(
            f"Another git is at work in {workspace.top} (index.lock is there); "
            "wait until it is done, or remove the lock if none is."
        ) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _create_index_lock(lock: Path, mark: Path) -> None:
    """Create the lock. Raises FileExistsError when there is one."""
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


def _clear_index_lock(workspace: Workspace) -> None:
    """Remove the index lock that a killed scaffold left, never another program's."""
    lock = workspace.git_dir / "index.lock"
    if lock.is_file() and lock.read_bytes() == _LOCK_MARK:
        lock.unlink()


def require_ready(workspace: Workspace, *, autostash: bool = False) -> None:
    """Raise MergeError unless an update may start here.

    Refused are: a merge, rebase or the like under way; an update of ours that is unfinished or
    not committed yet; conflicts; a workspace that git does not have; files whose changes git
    overlooks; uncommitted changes, unless `autostash`.
    """
    if (journal := journals.read(workspace)) and not journals.is_over(workspace, journal):
        raise MergeError(_describe_unfinished(workspace, journal))
    _require_settled(workspace)
    _require_tracked(workspace)
    if not (autostash and workspace.head):
        _require_clean(workspace)


def _describe_unfinished(workspace: Workspace, journal: Journal) -> str:
    folder = folder_of_update(workspace, journal)
    abort = format_command(folder, "--abort")
    if journal.progress is Progress.APPLIED:
        return f"The last update of {folder} is not committed yet; commit it, or run {abort}."
    return (
        f"An update of {folder} was interrupted; run {format_command(folder)} to finish it, "
        f"or {abort} to go back."
    )


def folder_of_update(workspace: Workspace, journal: Journal) -> Path:
    """Return the folder of the workspace that a journal's update changes."""
    return workspace.top / journal.prefix


def format_command(folder: Path, *options: str) -> str:
    """Return the command that continues an update of a folder, from wherever it is run."""
    return " ".join(["scaffold update", *options, shlex.quote(str(folder))])


def _require_settled(workspace: Workspace) -> None:
    for name, what in _OPERATIONS.items():
        if (workspace.git_dir / name).exists():
            raise MergeError(f"There is {what} under way in {workspace.top}; finish it first.")
    if workspace.git("ls-files", "--unmerged"):
        raise MergeError(f"{workspace.top} has unresolved conflicts; resolve them first.")


def _require_tracked(workspace: Workspace) -> None:
    """Raise MergeError unless git has the workspace's files and looks at all of them."""
    printed = workspace.git("ls-files", "-v", "-z", "--", workspace.pathspec)
    marks = {line[2:].removeprefix(workspace.prefix): line[0] for line in split_records(printed)}
    require_marker(workspace, marks)
    hidden = {path: mark for path, mark in sorted(marks.items()) if mark == "S" or mark.islower()}
    if hidden:
        raise MergeError(
            f"git is set to overlook changes in {_join_paths([*hidden])}; "
            f"run {_command_to_look_again(workspace, hidden)} first."
        )


def _command_to_look_again(workspace: Workspace, marks: Mapping[str, str]) -> str:
    """Return the command after which git sees changes of files again, by path and mark.

    git marks with S what it skips, and with a small letter what it assumes to be unchanged.
    """
    sparse = workspace.git("config", "--type=bool", "core.sparseCheckout", allowed=(0, 1))
    if sparse == "true" and {*marks.values()} == {"S"}:
        return f"git sparse-checkout add {shlex.quote(workspace.prefix or '.')}"
    git = f"git -C {shlex.quote(str(workspace.folder))} update-index"
    # Two commands: of both options in one, git obeys the last alone.
    by_option = {
        "--no-skip-worktree": [path for path, mark in marks.items() if mark in "Ss"],
        "--no-assume-unchanged": [path for path, mark in marks.items() if mark.islower()],
    }
    return " && ".join(
        f"{git} {option} -- {shlex.join(paths)}" for option, paths in by_option.items() if paths
    )


def _require_clean(workspace: Workspace) -> None:
    if changed := list_uncommitted(workspace):
        hint = "commit them, or pass --autostash" if workspace.head else "stage them with git add"
        raise MergeError(f"There are uncommitted changes in {_join_paths(changed)}; {hint}.")


def _join_paths(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
