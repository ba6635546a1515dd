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

from ..documents import DocumentError, load, readers
from ..duplicates import SMALL
from ..fleet import Fleet, Settings, find_root
from ..private import private_file
from ..reader_process import Child, Limits
from .search import Found, Hits, SearchFailed

log = logging.getLogger(__name__)
REMOTE = False
ASKING = re.compile("how|when|where|why|not|no")
MOST_WORDS, MOST_TOLD = 60, 20
# A file that no converter could read is read again when there is another converter.
VERSION = 200 + len(readers())
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
    """The table `[local_folder]` of fleet.toml. Larger files than `max_bytes` are left out.

    `document_s` is what reading one document may take, `refresh_s` reading all that are new before
    a search: the rest is left to the next one.
    """

    folder: str = "documents"
    suffixes: tuple[str, ...] = (".md", ".txt", ".rst", ".csv", ".html", ".htm", ".pdf", ".docx")
    max_bytes: int = 5_000_000
    passage_chars: int = 1500
    document_s: float = Field(default=20, gt=0)
    refresh_s: float = Field(default=60, gt=0)


async def search(query: str, limit: int, fleet: Fleet) -> Hits:
    """The passages that match best; words are matched by their English stem."""
    settings = fleet.section("local_folder", LocalFolderSettings)
    return await asyncio.to_thread(_search, query, limit, settings)


def _search(query: str, limit: int, settings: LocalFolderSettings) -> Hits:
    root = find_root()
    folder = root / settings.folder
    if not folder.is_dir():
        raise SearchFailed(f"there is no folder {folder}: make it, or name another in fleet.toml")
    try:
        path = root / "data" / "search.sqlite3"
        private_file(path)
        with closing(sqlite3.connect(path, timeout=30)) as index:
            with _REFRESHING:  # searches at once make the tables and read each changed file once
                prepare(index)
                problems = _refresh(index, folder, settings)
            rows = index.execute(
                "SELECT title, text, path, line FROM passages WHERE passages MATCH ?"
                " ORDER BY bm25(passages, 2.0) LIMIT ?",
                (_quoted(query), limit),
            ).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise SearchFailed(f"cannot be indexed ({error}); remove data/search.sqlite3") from None
    found = (
        Found(title, f"{settings.folder}/{path}#L{line}", text) for title, text, path, line in rows
    )
    return Hits(found, problems)


def _quoted(query: str) -> str:
    """Any text as an FTS5 query: its words in quotes, so that none of them is an operator."""
    words = list(dict.fromkeys(re.findall(r"\w+", query.casefold())))
    telling = [word for word in words if not (SMALL.fullmatch(word) or ASKING.fullmatch(word))]
    return " OR ".join(f'"{word}"' for word in (telling or words)[:MOST_WORDS]) or '""'


def prepare(index: sqlite3.Connection) -> None:
    """Make the tables, anew where another version made them."""
    if version_of(index) == VERSION:
        return
    with index:
        index.execute("BEGIN IMMEDIATE")
        # Another process may have made and filled them while this one waited for its turn.
        if version_of(index) != VERSION:
            for statement in SCHEMA:
                index.execute(statement)


def version_of(index: sqlite3.Connection) -> int:
    """The version of the tables that an index has; 0 for none."""
    return index.execute("PRAGMA user_version").fetchone()[0]


def _refresh(
    index: sqlite3.Connection, folder: Path, settings: LocalFolderSettings
) -> tuple[str, ...]:
    """Bring the index up to date; returns what could not be read, or is not read yet."""
    known = {row[0]: row[1:] for row in index.execute("SELECT path, size, changed_ns FROM files")}
    problems: list[str] = []
    files = _files(folder, settings, problems)
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
    more = [f"and {len(problems) - MOST_TOLD} more could not be read"][: len(problems) > MOST_TOLD]
    late = [f"{len(changed)} documents are not read yet: search again"] if changed else []
    return (*problems[:MOST_TOLD], *more, *late)


def _files(
    folder: Path, settings: LocalFolderSettings, problems: list[str]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    """The files to be searched, by name; what cannot even be looked at joins the problems."""
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
            except (OSError, RuntimeError, UnicodeError) as error:  # gone, a circle of links
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
    """Read a file and store its passages, if its content is new. What breaks stays its own."""
    large = status.st_size > settings.max_bytes
    digest = "" if large else _digest(path)
    row = index.execute("SELECT sha256, problem FROM files WHERE path = ?", (name,)).fetchone()
    passages, problem = [], row[1] if row else ""
    same = row is not None and digest and row[0] == digest
    if large:
        problem = f"{name} has {status.st_size:,} bytes, more than max_bytes: split it"
    elif not same:
        text, problem = _text(name, path, child)
        passages = list(_passages(text, settings.passage_chars))
    with index:
        index.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            # A file that may not be opened is tried again: to allow it changes neither of both.
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


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading it says why


def _text(name: str, path: Path, child: Child) -> tuple[str, str]:
    """A file's text and what is wrong with it; "" for text where it has none."""
    try:
        document = load(path, child)
    except DocumentError as error:
        log.warning("passed over: %s", error)
        return "", str(error)
    told = "; ".join(document.notes)
    return document.text, f"{name}: {told}" if told else ""


def _passages(text: str, most: int) -> Iterator[tuple[str, str, int]]:
    """Heading, text and first line of each passage: by headings, then by paragraphs."""
    title, start, size = "", 1, 0
    lines: list[str] = []
    for number, line in _lines(text, most):
        heading = re.match(r"#{1,6}\s+(.+)", line)
        full = size >= most and not line.strip()
        if any(lines) and (heading or full or size >= 2 * most):
            yield title, "\n".join(lines).strip(), start
            lines, size = [], 0
        if not any(lines):
            lines, start = [], number
        title = heading[1].strip() if heading else title
        lines.append(line)
        size += len(line)
    if any(lines):
        yield title, "\n".join(lines).strip(), start


def _lines(text: str, most: int) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for at in range(0, max(1, len(line)), most):
            yield number, line[at : at + most]
