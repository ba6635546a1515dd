"""The store of a rendered ledger, for tests: opened, written, read back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package

PACKAGE = "booked"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("store") / "w"
    with ledger_package.importable(place, PACKAGE):
        yield place


@pytest.fixture(scope="module")
def store(folder: Path) -> Any:
    assert folder.is_dir()
    return ledger_package.module(PACKAGE, "store")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


def write(store: Any, path: Path, *batches: list[Any], **settings: Any) -> None:
    """Open a ledger, write the batches at once, close it."""

    async def play() -> None:
        ledger = store.Ledger(path, store.LedgerSettings(**settings))
        try:
            await asyncio.gather(*map(ledger.write, batches))
        finally:
            ledger.close()

    asyncio.run(play())


def keys(store: Any, path: Path) -> list[tuple[str, int]]:
    return store.select(path, "SELECT call_id, attempt FROM attempts ORDER BY call_id, attempt")


def rollup(store: Any, path: Path) -> dict[Any, Any]:
    """Return the stored rollup as `ledger_package.fold` does."""
    names = (*store.ROLLUP_KEY, *store.COUNTERS)
    rows = store.select(path, f"SELECT {', '.join(names)} FROM rollup")
    at = len(store.ROLLUP_KEY)
    return {row[:at]: dict(zip(store.COUNTERS, row[at:], strict=True)) for row in rows}


def read_rows(store: Any, path: Path) -> list[Any]:
    rows = store.select(path, f"SELECT {', '.join(store.COLUMNS)} FROM attempts")
    return [store.Attempt(**dict(zip(store.COLUMNS, row, strict=True))) for row in rows]
