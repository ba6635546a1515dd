"""The folder of a new workspace: checked first, filled under another name, renamed at the end."""

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import TargetError, system_hint
from scaffold.system.signals import ignore_signals, unwind_on_sigterm


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
