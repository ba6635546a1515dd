"""Attempts as Parquet, which DuckDB makes of JSON Lines and reads page by page."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
from pydantic_core import to_json

from ..errors import LedgerError
from .attempt import Attempt

PAGE = 5_000
_TYPES: dict[Any, str] = {int: "BIGINT", int | None: "BIGINT", float | None: "DOUBLE"}
COLUMNS = {column.name: _TYPES.get(column.type, "VARCHAR") for column in fields(Attempt)}


def write(lines: Path, path: Path) -> None:
    """Make a Parquet file of a file of JSON Lines. Raises LedgerError."""
    try:
        with duckdb.connect() as database:
            rows = database.read_json(str(lines), columns=COLUMNS, format="newline_delimited")
            rows.write_parquet(str(path), compression="zstd")
    except duckdb.Error as error:
        raise LedgerError(f"{path} cannot be written as Parquet: {_line(error)}") from None


def pages(path: Path) -> Iterator[list[bytes]]:
    """Yield the rows of a Parquet file as JSON, some thousand at a time. Raises LedgerError."""
    try:
        with duckdb.connect() as database:
            rows = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in rows.description or ()]
            while page := rows.fetchmany(PAGE):
                yield [to_json(dict(zip(names, row, strict=True))) for row in page]
    except duckdb.Error as error:
        raise LedgerError(f"{path} cannot be read as Parquet: {_line(error)}") from None


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].rstrip(".")
