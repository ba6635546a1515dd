"""For all tests: SQLite does not wait for the disk, as nobody cuts the power meanwhile."""

import sqlite3
from collections.abc import Iterator
from functools import partial

import pytest

_NO_WAIT = "PRAGMA synchronous = OFF;"


class _Unsynced(sqlite3.Connection):
    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        # Before the script, for what it writes; after it, for it may have turned the waits on.
        return super().executescript(f"{_NO_WAIT} {sql_script}; {_NO_WAIT}")


@pytest.fixture(autouse=True, scope="session")
def unsynced() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Unsynced))
        yield
