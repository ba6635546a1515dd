"""Make files that only their owner reads, whatever the umask."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_BESIDE = ("-wal", "-shm", "-journal")


def private_file(path: Path) -> Path:
    """Make a file (0600) and its folder (0700) where they are missing; tighten what is wider.

    A folder that was there before is tightened only where it is called `data`: another is not
    this workspace's alone. SQLite gives the files beside a database the mode of the database.
    """
    if path.is_dir():  # a path that was set by mistake, and not this workspace's to change
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    _make_folder(path.parent)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    for one in (path, *(path.with_name(path.name + tail) for tail in _BESIDE)):
        _tighten(one)
    return path


def _make_folder(folder: Path) -> None:
    """Make a folder that only its owner enters."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    if folder.name == "data":
        _tighten(folder)


def _tighten(path: Path) -> None:
    """Take from others what they may do with a file, and leave its owner what they may."""
    with suppress(OSError):  # missing, or another's
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(mode & ~0o077)
