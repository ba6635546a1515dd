"""Where the ledger is, and how it is opened and read there."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from ..errors import LedgerError
from ..settings import Settings
from .attempt import COLUMNS, Attempt
from .rollup import Execute, Statement
from .sqlite import SqliteDatabase, select_rows


class LedgerSettings(Settings):
    """`[ledger]` of fleet.toml."""

    retention_days: int = Field(default=0, ge=0)
    """For how many days rows are kept; 0 for ever."""
    record_content: bool = False
    """Whether prompts and answers are stored."""
    content_days: int = Field(default=30, ge=1)
    """For how many days those are kept."""


class Database(Protocol):
    """A ledger that is open for writing; SqliteDatabase describes the methods."""

    writer: str

    def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> int: ...
    def transaction(self) -> AbstractContextManager[Execute]: ...
    def expect_writable(self) -> None: ...
    def prune(self, days: int) -> bool: ...
    def close(self) -> None: ...


class Server(Protocol):
    """A ledger that is not a file. As text it is its URL without the password."""

    def connect(self) -> Database: ...
    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...


Location = Path | Server
OpenServer = Callable[[str], Server]
"""Opens a ledger at its URL. Raises ImportError where its driver is not installed."""


class FileFormat(Protocol):
    """A format of files besides CSV and JSON Lines: made of JSON Lines, read as pages of them."""

    def write(self, lines: Path, path: Path) -> None: ...
    def pages(self, path: Path) -> Iterator[list[bytes]]: ...


def database_path(root: Path, servers: Mapping[str, OpenServer] | None = None) -> Location:
    """Return where the ledger is: FLEET_LEDGER_URL, else `data/ledger.sqlite3` in the workspace.

    `servers` open the ledgers that are not files, by the scheme of their URLs.
    """
    if file := ledger_file(root):
        return file
    url = os.environ["FLEET_LEDGER_URL"]
    scheme = url.partition(":")[0]
    try:
        return (servers or {})[scheme](url)
    except (KeyError, ImportError):
        raise LedgerError(
            f"FLEET_LEDGER_URL '{scheme[:12]}…' cannot be used here",
            "set sqlite:///PATH, or add what is missing (`scaffold add extra ledger_postgresql`, "
            "then `uv sync`)",
        ) from None


def ledger_file(root: Path) -> Path | None:
    """Return the file of the ledger; None where FLEET_LEDGER_URL names a server."""
    url = os.environ.get("FLEET_LEDGER_URL") or f"sqlite:///{root / 'data' / 'ledger.sqlite3'}"
    name = url.removeprefix("sqlite:///")
    return Path(name) if name and name != url else None


def connect(location: Location) -> Database:
    """Open a ledger for writing; an older schema is migrated. Raises LedgerError."""
    return SqliteDatabase(location) if isinstance(location, Path) else location.connect()


def select(location: Location, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Read from a ledger, in SQL that every backend understands (`?` for values).

    Raises LedgerError when there is none or it cannot be read.
    """
    if isinstance(location, Path):
        return select_rows(location, query, values)
    return location.select(query, values)


def attempts(location: Location, which: str, values: Sequence[Any] = ()) -> list[Attempt]:
    """Return the attempts that some SQL after FROM chooses. Raises LedgerError."""
    rows = select(location, f"SELECT {', '.join(COLUMNS)} FROM attempts {which}", values)
    return [Attempt(**dict(zip(COLUMNS, row, strict=True))) for row in rows]
