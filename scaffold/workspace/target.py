"""The folder of a new workspace: checked, filled under another name, renamed at the end; its repository."""

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import TargetError, ToolError, system_hint
from scaffold.system.git import GitError, git, is_installed
from scaffold.system.signals import ignore_signals, unwind_on_sigterm

_NEUTRAL = {"user.name": "scaffold", "user.email": "scaffold@localhost"}
"""The author of the first commit where the user's settings name none."""


def require_usable(folder: Path) -> None:
    """Raise TargetError unless a folder is absent or empty, and can be written."""
    try:
        target = folder.resolve()
        if folder.is_symlink() and not target.exists():
            raise TargetError(f"{folder} is a link to nothing; remove it or name another folder.")
        if target.exists() and not target.is_dir():
            raise TargetError(f"{folder} is a file; name another folder.")
        if target.is_dir() and any(target.iterdir()):
            raise TargetError(f"{folder} is not empty; name a new or an empty folder.")
        _require_parent(folder, find_existing(target))
    except (OSError, RuntimeError, ValueError) as error:
        raise TargetError(f"{folder} cannot be used ({_reason(error)}); name another.") from error


def find_existing(target: Path) -> Path:
    """Return the target, or the closest folder above it that exists."""
    return next(path for path in (target, *target.parents) if path.exists())


@contextmanager
def stage(target: Path) -> Generator[Path]:
    """Yield an empty folder to fill; on success it becomes `target`, else nothing is left behind.

    Raises TargetError when the file system refuses.
    """
    new_parents = [path for path in target.parents if not path.exists()]
    within = target.is_dir()
    staging = (target if within else target.parent) / f".scaffold-{secrets.token_hex(4)}"
    try:
        with unwind_on_sigterm():
            staging.mkdir(parents=True)
            yield staging
            with ignore_signals():
                _put_in_place(staging, target, within)
    except BaseException as error:
        with ignore_signals():
            shutil.rmtree(staging, ignore_errors=True)
            _remove_empty(new_parents)
        if isinstance(error, OSError):
            hint = system_hint(error) or "name another folder"
            place = _place(error, staging, target)
            raise TargetError(f"{place} cannot be written ({_reason(error)})", hint) from error
        raise


def _require_parent(folder: Path, parent: Path) -> None:
    if not parent.is_dir():
        raise TargetError(f"{folder} lies under {parent}, which is a file; name another folder.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise TargetError(f"{parent} is read-only; name a folder elsewhere.")


def _put_in_place(staging: Path, target: Path, within: bool) -> None:
    if not within:
        staging.rename(target)
        return
    # An empty folder that was there is kept: it may be a mount, a link or where the user stands.
    moved: list[Path] = []
    try:
        for path in sorted(staging.iterdir()):
            moved.append(path.rename(target / path.name))
        staging.rmdir()
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _place(error: OSError, staging: Path, target: Path) -> str:
    """Return what could not be written.

    Something in a temporary folder is not the target's fault.
    """
    name = error.filename
    outside = isinstance(name, str) and name and not Path(name).is_relative_to(staging)
    return str(name) if outside else str(target)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def require_git() -> None:
    """Raise ToolError if git is not installed."""
    if not is_installed():
        raise ToolError("git is not installed; install it, or pass --no-git (updates need git).")


def is_in_work_tree(path: Path) -> bool:
    """Tell whether a folder, or the nearest one above it that exists, is in a git work tree."""
    place = find_existing(path.absolute())
    try:
        return git("rev-parse", "--is-inside-work-tree", cwd=place) == "true"
    except GitError:
        return False


def create_repository(folder: Path, message: str) -> None:
    """Create a repository with one commit; no hook runs and nothing is signed."""
    try:
        git("init", "--quiet", "--initial-branch=main", cwd=folder)
        _add_files(folder)
        unsigned = ("-c", "commit.gpgSign=false")
        git(
            *read_identity(folder), *unsigned, "commit", "--quiet", "--message", message, cwd=folder
        )
    except GitError as error:
        raise ToolError(f"git failed: {error}; pass --no-git to go on without it.") from None


def _add_files(folder: Path) -> None:
    """Add every file but what the workspace's own .gitignore names.

    The user's ignore files do not count: an update takes every rendered file as committed.
    """
    listed = ("ls-files", "--others", "--exclude-per-directory=.gitignore", "-z")
    paths = git(*listed, cwd=folder)
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    add = ("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
    git(*add, cwd=folder, env=literal, feed=paths)


def read_identity(folder: Path) -> list[str]:
    """Return options that name an author where the user's settings leave name or address out."""
    words: list[str] = []
    for key, value in _NEUTRAL.items():
        if not git("config", key, cwd=folder, allowed=(0, 1)):
            words += ["-c", f"{key}={value}"]
    return words
