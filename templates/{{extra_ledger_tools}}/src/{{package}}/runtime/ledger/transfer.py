"""Attempts in and out of the ledger: CSV, JSON Lines, and Parquet where that feature is there."""

import csv
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from ..errors import LedgerError
from ..private import private_file
from ..text import csv_cell, from_csv_cell, sanitize
from .attempt import COLUMNS, Attempt, RowsRefused, values_of
from .location import Database, FileFormat, Location, attempts, connect, select
from .spill import bring_in

PAGE = 1_000
_OPTIONAL = {column.name for column in fields(Attempt) if "None" in str(column.type)}

Progress = Callable[[int], None]
Format = str | FileFormat
"""`csv`, `jsonl`, or what else writes and reads files of attempts."""


def pages(location: Location, which: str, since_us: int, until_us: int) -> Iterator[list[Attempt]]:
    """Yield the attempts of a span of time that an SQL condition takes, oldest first.

    In pages: the ledger may be larger than RAM.
    """
    span = "(ts_us, call_id, attempt) > (?, ?, ?) AND ts_us < ?"
    last: tuple[int, str, int] = (since_us, "", 0)
    query = f"WHERE {which} AND {span} ORDER BY ts_us, call_id, attempt LIMIT {PAGE}"
    while page := attempts(location, query, (*last, until_us)):
        yield page
        last = (page[-1].ts_us, page[-1].call_id, page[-1].attempt)


def export(
    location: Location, path: Path, format_: Format, span: tuple[int, int], progress: Progress
) -> int:
    """Write the attempts of a span of time (microseconds) to a file, which appears when it is whole.

    Returns the number of rows. Raises LedgerError.
    """
    count = 0
    with _whole(path) as part, _writer(format_, part) as write:
        for page in pages(location, "1 = 1", *span):
            write(page)
            count += len(page)
            progress(count)
    return count


def import_(
    location: Location, path: Path, format_: Format, progress: Progress
) -> tuple[int, list[str]]:
    """Book the attempts of a file; those that are there already stay as they are.

    Returns the number of new rows, and what is wrong with each row that was left out.
    """
    database, new, wrong = connect(location), 0, list[str]()
    try:
        for rows, broken in _read(path, format_):
            new += _book(database, rows, wrong)
            wrong += broken
            progress(new)
    finally:
        database.close()
    return new, wrong


def _book(database: Database, rows: Sequence[Attempt], wrong: list[str]) -> int:
    """Write rows; the refused ones are added to `wrong`. Returns the number of new rows."""
    try:
        return database.write(rows)
    except RowsRefused as error:
        if len(rows) == 1:
            wrong.append(f"call {rows[0].call_id}: {error}")
            return 0
    half = len(rows) // 2
    return _book(database, rows[:half], wrong) + _book(database, rows[half:], wrong)


def erase(location: Location, user_ref: str) -> int:
    """Erase a user's attempts and texts, those set aside as well; the rollup has no users."""
    database, refs = connect(location), [user_ref, sanitize(user_ref)]
    try:
        bring_in(location, database)
        with database.transaction() as execute:
            if _has_texts(location):
                execute("DELETE FROM contents WHERE user_ref IN (?, ?)", refs)
            erased = execute("DELETE FROM attempts WHERE user_ref IN (?, ?)", refs)
    finally:
        database.close()
    if isinstance(location, Path):  # the log beside it stays while a workspace has it open
        with closing(sqlite3.connect(location)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return erased


def texts(location: Location, id_: str) -> list[tuple[Any, ...]]:
    """Return what a call or a run was asked and answered: stage, model, outcome, JSON of both.

    Raises LedgerError when the ledger has none at all.
    """
    if not _has_texts(location):
        raise LedgerError("No texts are stored", "set record_content = true in fleet.toml")
    query = (
        "SELECT a.stage, a.request_model, a.outcome, c.request, c.response FROM attempts a "
        "JOIN contents c ON c.call_id = a.call_id AND c.attempt = a.attempt "
        "WHERE a.call_id = ? OR a.run_id = ? ORDER BY a.ts_us, a.attempt"
    )
    return select(location, query, (id_, id_))


def _has_texts(location: Location) -> bool:
    """Return whether texts have ever been recorded in this ledger."""
    try:
        select(location, "SELECT 1 FROM contents LIMIT 1")
    except LedgerError:
        return False
    return True


@contextmanager
def _whole(path: Path) -> Generator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield private_file(part)
        private_file(part).replace(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink()


WritePage = Callable[[Sequence[Attempt]], object]


@contextmanager
def _writer(format_: Format, path: Path) -> Generator[WritePage]:
    if not isinstance(format_, str):
        lines = path.with_suffix(".jsonl")
        try:
            with _writer("jsonl", lines) as write:
                yield write
            format_.write(lines, path)
        finally:
            lines.unlink(missing_ok=True)
        return
    with private_file(path).open("w", encoding="utf-8", newline="") as file:
        yield _csv_writer(file) if format_ == "csv" else _jsonl_writer(file)


def _jsonl_writer(file: IO[str]) -> WritePage:
    return lambda page: file.writelines(to_json(row).decode() + "\n" for row in page)


def _csv_writer(file: IO[str]) -> WritePage:
    table = csv.writer(file)  # its own line end: only then does it quote every one in a text
    table.writerow(COLUMNS)
    return lambda page: table.writerows(map(csv_cell, values_of(row)) for row in page)


def _read(path: Path, format_: Format) -> Iterator[tuple[list[Attempt], list[str]]]:
    """Yield pages of a file: its attempts, and what is wrong with the other rows."""
    try:
        if not isinstance(format_, str):
            for lines in format_.pages(path):
                yield parse_rows(lines)
            return
        with path.open(encoding="utf-8", newline="") as file:
            lines = _csv_lines(file, path) if format_ == "csv" else file
            for page in _pages(lines):
                yield parse_rows(page)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LedgerError(f"{path} cannot be read as {format_}: {error}") from None


def parse_rows(lines: Iterable[str | bytes]) -> tuple[list[Attempt], list[str]]:
    """Parse JSON Lines; return the attempts, and what is wrong with each other line."""
    rows, broken, parse = list[Attempt](), list[str](), TypeAdapter(Attempt).validate_json
    for line in lines:
        if not line.strip():
            continue
        try:
            rows.append(parse(line))
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            where = ".".join(map(str, wrong["loc"]))
            broken.append(f"{line[:80]!r}: {where} {wrong['msg']}")
    return rows, broken


def _csv_lines(file: Iterable[str], path: Path) -> Iterator[bytes]:
    """Yield a CSV's rows as JSON. An empty cell is NULL where the column may be."""
    table = csv.DictReader(file)
    missing = {"ts_us", "call_id", "attempt"} - set(table.fieldnames or ())
    if missing:
        raise LedgerError(f"{path} is not an export of a ledger: it has no column {min(missing)}")
    for row in table:
        cells = {name: from_csv_cell(cell or "") for name, cell in row.items() if name}
        yield to_json({k: v for k, v in cells.items() if not (v == "" and k in _OPTIONAL)})


def _pages(lines: Iterable[Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    for line in lines:
        page.append(line)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
