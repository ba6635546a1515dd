"""A folder to work in, gone when the block ends, also when that is by a signal."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import ToolError
from scaffold.signals import deaf

_WAY_OUT = "free some room, or set TMPDIR to a folder on another disk"


@contextmanager
def work_folder() -> Generator[Path]:
    """An empty folder among the system's temporary ones."""
    try:
        # With TMPDIR=. Python gives a relative path, and git starts in another folder.
        folder = Path(tempfile.mkdtemp(prefix="scaffold-")).absolute()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ToolError(f"No temporary folder can be made ({reason}); {_WAY_OUT}.") from None
    try:
        yield folder
    finally:
        with deaf():
            shutil.rmtree(folder, ignore_errors=True)
