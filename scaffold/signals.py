"""What Ctrl-C and SIGTERM may interrupt, and what not."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def sigterm_unwinds() -> Generator[None]:
    """Within the block SIGTERM ends the program as Ctrl-C does: what is half-done is taken back."""
    with _on(_leave, signal.SIGTERM):
        yield


@contextmanager
def deaf() -> Generator[None]:
    """Neither a second Ctrl-C stops the cleaning up, nor the first one comes between two renames."""
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
