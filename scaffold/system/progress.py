"""Show what is being done, in one line of a terminal's stderr; elsewhere nothing."""

import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def show_progress(what: str) -> Generator[None]:
    """Show `what` until the block ends."""
    if not sys.stderr.isatty():
        yield
        return
    print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
