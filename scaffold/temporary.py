"""A folder to work in, gone when the block ends, also when that is by a signal."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import ToolError
from scaffold.signals import deaf

_WAY_OUT = "free some room, or set TMPDIR to a folder on another disk"


PAUSES_S = (0.0, 0.1, 0.4)
"""Before the folder is removed, again and again after a signal.

A git that was ended has programs of its own, which make their folders anew while they last.
"""


@contextmanager
def work_folder() -> Generator[Path]:
    """Yield an empty folder among the system's temporary ones, which is gone after the block."""
    # It has its name before it is there, so that a signal at any moment finds it. With TMPDIR=.
    # Python gives a relative path, and git starts in another folder.
    with _room():
        folder = Path(tempfile.gettempdir(), f"scaffold-{secrets.token_hex(8)}").absolute()
    pauses = PAUSES_S[:1]
    try:
        with _room():
            folder.mkdir(mode=0o700)
        yield folder
    except (KeyboardInterrupt, SystemExit):
        pauses = PAUSES_S
        raise
    finally:
        with deaf():
            for pause in pauses:
                time.sleep(pause)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _room() -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ToolError(f"No temporary folder can be made ({reason}); {_WAY_OUT}.") from None
