"""Temporary folders, and what Ctrl-C and SIGTERM may interrupt."""

import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from scaffold.errors import ToolError

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def unwind_on_sigterm() -> Generator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what is half-done is undone."""
    with _on(_leave, signal.SIGTERM):
        yield


@contextmanager
def ignore_signals() -> Generator[None]:
    """Ignore SIGINT and SIGTERM until cleanup and renames are done."""
    with _on(signal.SIG_IGN, signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def _on(action: Callable[[int, FrameType | None], None] | int, *numbers: int) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, action) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


_HINT = "free some room, or set TMPDIR to a folder on another disk"
PAUSES_S = (0.0, 0.1, 0.4)
"""How long to wait before each attempt to remove the folder after a signal.

A git that was ended leaves programs of its own, which create their folders anew until they end.
"""


@contextmanager
def work_folder() -> Generator[Path]:
    """Yield an empty folder among the system's temporary ones, which is gone after the block."""
    # The name is known before the folder is created, so that a signal at any moment finds it. With
    # TMPDIR=. Python returns a relative path, and git starts in another folder.
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
        with ignore_signals():
            for pause in pauses:
                time.sleep(pause)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _room() -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ToolError(f"A temporary folder cannot be created ({reason}); {_HINT}.") from None
