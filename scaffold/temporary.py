"""A folder to work in, gone when the block ends, also when that is by a signal."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scaffold.signals import deaf


@contextmanager
def work_folder() -> Generator[Path]:
    """An empty folder among the system's temporary ones."""
    folder = Path(tempfile.mkdtemp(prefix="scaffold-"))
    try:
        yield folder
    finally:
        with deaf():
            shutil.rmtree(folder, ignore_errors=True)
