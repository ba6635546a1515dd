"""The team's own files: an SQLite FTS5 index in data/, brought up to date before each search.

A file is read again when its size or time of change differs, and indexed again when its content
does. A result is one passage; its `url` is the file and the line it starts at.
"""

import asyncio
import hashlib
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pydantic import Field

from ..converters import CONVERTERS
from ..document import DocumentError
from ..documents import load
from ..duplicates import SMALL
from ..fleet import Fleet, find_root
from ..private import private_file
from ..reader_process import Child, Limits
from ..settings import Settings
from .passages import split_passages
from .search import Found, Hits, SearchFailed

log = logging.getLogger(__name__)
REMOTE = False
QUESTION_WORDS = re.compile("how|when|where|why|not|no")
MOST_WORDS, MOST_PROBLEMS = 60, 20
# With another converter the index is made anew, since a file may have lacked its converter.
VERSION = 200 + len(CONVERTERS)
SCHEMA = (
    "DROP TABLE IF EXISTS files",
    "DROP TABLE IF EXISTS passages",
    "CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, changed_ns INTEGER, sha256 TEXT,"
    " problem TEXT)",
    "CREATE VIRTUAL TABLE passages USING fts5 (title, text, path UNINDEXED, line UNINDEXED,"
    " tokenize = 'porter unicode61 remove_diacritics 2')",
    f"PRAGMA user_version={VERSION}",
)
_REFRESHING = threading.Lock()


class LocalFolderSettings(Settings):
    """The table `[local_folder]` of fleet.toml.

    Files larger than `max_bytes` are left out. Reading one document may take `document_s`, and
    reading all new ones before a search `refresh_s`; the rest is left to the next search.
    """

    folder: str = "documents"
    suffixes: tuple[str, ...] = (".md", ".txt", ".rst", ".csv", ".html", ".htm", ".pdf", ".docx")
    max_bytes: int = 5_000_000
    passage_chars: int = 1500
    document_s: float = Field(default=20, gt=0)
    refresh_s: float = Field(default=60, gt=0)


async def search(query: str, limit: int, fleet: Fleet) -> Hits:
    """Return the passages that match best; words are matched by their English stem.

    Raises:
        SearchFailed: The folder does not exist, or the index cannot be used.
    """
    settings = fleet.section("local_folder", LocalFolderSettings)
    return await asyncio.to_thread(_search, query, limit, settings)


def _search(query: str, limit: int, settings: LocalFolderSettings) -> Hits:
    root = find_root()
    folder = root / settings.folder
    if not folder.is_dir():
        raise SearchFailed(f"the folder {folder} does not exist: make it, or change fleet.toml")
    try:
        path = root / "data" / "search.sqlite3"
        private_file(path)
        with closing(sqlite3.connect(path, timeout=30)) as index:
            # Concurrent searches make the tables and read each changed file only once.
            with _REFRESHING:
                prepare(index)
                problems = _refresh(index, folder, settings)
            rows = index.execute(
                "SELECT title, text, path, line FROM passages WHERE passages MATCH ?"
                " ORDER BY bm25(passages, 2.0) LIMIT ?",
                (_quote_words(query), limit),
            ).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise SearchFailed(f"cannot be indexed ({error}); remove data/search.sqlite3") from None
    found = (
        Found(title, f"{settings.folder}/{path}#L{line}", text) for title, text, path, line in rows
    )
    return Hits(found, problems)


def _quote_words(query: str) -> str:
    """Turn any text into an FTS5 query: its words are quoted, so that none is an operator."""
    words = list(dict.fromkeys(re.findall(r"\w+", query.casefold())))
    content = [
        word for word in words if not (SMALL.fullmatch(word) or QUESTION_WORDS.fullmatch(word))
    ]
    return " OR ".join(f'"{word}"' for word in (content or words)[:MOST_WORDS]) or '""'


def prepare(index: sqlite3.Connection) -> None:
    """Make the tables, or make them anew if another version made them."""
    if read_version(index) == VERSION:
        return
    with index:
        index.execute("BEGIN IMMEDIATE")
        # Another process may have made and filled them while this one waited for the lock.
        if read_version(index) != VERSION:
            for statement in SCHEMA:
                index.execute(statement)


def read_version(index: sqlite3.Connection) -> int:
    """Return the version of the tables of an index; 0 without tables."""
    return index.execute("PRAGMA user_version").fetchone()[0]


def _refresh(
    index: sqlite3.Connection, folder: Path, settings: LocalFolderSettings
) -> tuple[str, ...]:
    """Bring the index up to date. Return what could not be read, or is not read yet."""
    known = {row[0]: row[1:] for row in index.execute("SELECT path, size, changed_ns FROM files")}
    problems: list[str] = []
    files = _find_files(folder, settings, problems)
    present = {name: (path, status) for name, path, status in files}
    changed = [
        name
        for name, (_, status) in present.items()
        if known.get(name) != (status.st_size, status.st_mtime_ns)
    ]
    with index:
        for name in known.keys() - present.keys():
            index.execute("DELETE FROM files WHERE path = ?", (name,))
            index.execute("DELETE FROM passages WHERE path = ?", (name,))
    until = time.monotonic() + settings.refresh_s
    with Child(Limits(settings.document_s)) as child:
        while changed and time.monotonic() < until:
            name = changed.pop(0)
            _index(index, name, *present[name], settings, child)
    problems += [row[0] for row in index.execute("SELECT problem FROM files WHERE problem != ''")]
    more = [f"and {len(problems) - MOST_PROBLEMS} more could not be read"][
        : len(problems) > MOST_PROBLEMS
    ]
    late = [f"{len(changed)} documents are not read yet: search again"] if changed else []
    return (*problems[:MOST_PROBLEMS], *more, *late)


def _find_files(
    folder: Path, settings: LocalFolderSettings, problems: list[str]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Yield the files to search, by name; what cannot be opened is added to `problems`."""
    top = folder.resolve()

    def pass_over(error: Exception, path: str | None = None) -> None:
        name = ascii(os.path.relpath(path or getattr(error, "filename", folder), folder))[1:-1]
        reason = getattr(error, "strerror", None) or error
        reason = "its name is not UTF-8" if isinstance(error, UnicodeError) else reason
        problems.append(f"{name} cannot be read: {reason}")
        log.warning("passed over: %s", problems[-1])

    for place, folders, names in os.walk(folder, onerror=pass_over):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() not in settings.suffixes:
                continue
            try:
                status, text = path.stat(), path.relative_to(folder).as_posix()
                text.encode()
                inside = path.is_file() and path.resolve().is_relative_to(top)
            # It is gone, or its links form a circle.
            except (OSError, RuntimeError, UnicodeError) as error:
                pass_over(error, str(path))
                continue
            if inside:
                yield text, path, status


def _index(
    index: sqlite3.Connection,
    name: str,
    path: Path,
    status: os.stat_result,
    settings: LocalFolderSettings,
    child: Child,
) -> None:
    """Read a file and store its passages if its content is new. An error is stored with it."""
    large = status.st_size > settings.max_bytes
    digest = "" if large else _hash_file(path)
    row = index.execute("SELECT sha256, problem FROM files WHERE path = ?", (name,)).fetchone()
    passages, problem = [], row[1] if row else ""
    same = row is not None and digest and row[0] == digest
    if large:
        problem = f"{name} has {status.st_size:,} bytes, more than max_bytes: split it"
    elif not same:
        text, problem = _read_text(name, path, child)
        passages = list(split_passages(text, settings.passage_chars))
    with index:
        index.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            # A new permission changes neither size nor time, so a file that cannot be opened has
            # a size that never matches: it is tried again.
            (name, status.st_size if large or digest else -1, status.st_mtime_ns, digest, problem),
        )
        if same:
            return
        index.execute("DELETE FROM passages WHERE path = ?", (name,))
        index.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?)",
            [
                (f"{name}: {title}" if title else name, text, name, line)
                for title, text, line in passages
            ],
        )


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading the file reports why


def _read_text(name: str, path: Path, child: Child) -> tuple[str, str]:
    """Return a file's text and its problem; "" for what it does not have."""
    try:
        document = load(path, child)
    except DocumentError as error:
        log.warning("passed over: %s", error)
        return "", str(error)
    notes = "; ".join(document.notes)
    return document.text, f"{name}: {notes}" if notes else ""
