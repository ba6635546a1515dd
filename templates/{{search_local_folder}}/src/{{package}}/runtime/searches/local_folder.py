"""The team's own files: an SQLite FTS5 index in data/, brought up to date before each search.

A file is read again when its size or time of change differs, and indexed again when its content
does. A result is one passage; its `url` is the file and the line it starts at.
"""

import asyncio
import hashlib
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..documents import DocumentError, read
from ..duplicates import SMALL
from ..fleet import Fleet, Settings, find_root
from ..readable import of_html
from .search import Found, SearchFailed

log = logging.getLogger(__name__)
REMOTE = False
ASKING = re.compile("how|when|where|why|not|no")
SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, changed_ns INTEGER, sha256 TEXT
);
CREATE VIRTUAL TABLE IF NOT EXISTS passages USING fts5 (
    title, text, path UNINDEXED, line UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2'
);
"""


class LocalFolderSettings(Settings):
    """The table `[local_folder]` of fleet.toml. Larger files than `max_bytes` are passed over."""

    folder: str = "documents"
    suffixes: tuple[str, ...] = (".md", ".txt", ".rst", ".csv", ".html", ".htm", ".pdf", ".docx")
    max_bytes: int = 5_000_000
    passage_chars: int = 1500


async def search(query: str, limit: int, fleet: Fleet) -> list[Found]:
    """The passages that match best; words are matched by their English stem."""
    settings = fleet.section("local_folder", LocalFolderSettings)
    return await asyncio.to_thread(_search, query, limit, settings)


def _search(query: str, limit: int, settings: LocalFolderSettings) -> list[Found]:
    root = find_root()
    folder = root / settings.folder
    if not folder.is_dir():
        raise SearchFailed(f"there is no folder {folder}: make it, or name another in fleet.toml")
    try:
        path = root / "data" / "search.sqlite3"
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=30)) as index:
            index.executescript(SCHEMA)
            _refresh(index, folder, settings)
            rows = index.execute(
                "SELECT title, text, path, line FROM passages WHERE passages MATCH ?"
                " ORDER BY bm25(passages, 2.0) LIMIT ?",
                (_quoted(query), limit),
            ).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise SearchFailed(f"cannot be indexed ({error}); remove data/search.sqlite3") from None
    return [
        Found(title, f"{settings.folder}/{path}#L{line}", text) for title, text, path, line in rows
    ]


def _quoted(query: str) -> str:
    """Any text as an FTS5 query: its words in quotes, so that none of them is an operator."""
    words = re.findall(r"\w+", query.casefold())
    telling = [word for word in words if not (SMALL.fullmatch(word) or ASKING.fullmatch(word))]
    return " OR ".join(f'"{word}"' for word in telling or words) or '""'


def _refresh(index: sqlite3.Connection, folder: Path, settings: LocalFolderSettings) -> None:
    known = {row[0]: row[1:] for row in index.execute("SELECT * FROM files")}
    present = dict(_files(folder, settings))
    changed = {
        name: path
        for name, path in present.items()
        if known.get(name, ())[:2] != (path.stat().st_size, path.stat().st_mtime_ns)
    }
    if not changed and present.keys() == known.keys():
        return
    with index:
        # Taken before reading, so that two processes do not index a file twice.
        index.execute("BEGIN IMMEDIATE")
        for name in known.keys() - present.keys():
            index.execute("DELETE FROM files WHERE path = ?", (name,))
            index.execute("DELETE FROM passages WHERE path = ?", (name,))
        for name, path in changed.items():
            _index(index, name, path, settings)


def _files(folder: Path, settings: LocalFolderSettings) -> Iterator[tuple[str, Path]]:
    top = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or path.suffix.lower() not in settings.suffixes or not path.is_file():
            continue
        # A link may not lead out of the folder that the team named.
        if path.resolve().is_relative_to(top) and path.stat().st_size <= settings.max_bytes:
            yield name.as_posix(), path


def _index(index: sqlite3.Connection, name: str, path: Path, settings: LocalFolderSettings) -> None:
    data, status = path.read_bytes(), path.stat()
    digest = hashlib.sha256(data).hexdigest()
    row = index.execute("SELECT sha256 FROM files WHERE path = ?", (name,)).fetchone()
    index.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
        (name, status.st_size, status.st_mtime_ns, digest),
    )
    if row == (digest,):
        return
    index.execute("DELETE FROM passages WHERE path = ?", (name,))
    passages = _passages(_text(path), settings.passage_chars)
    index.executemany(
        "INSERT INTO passages VALUES (?, ?, ?, ?)",
        [
            (f"{name}: {title}" if title else name, text, name, line)
            for title, text, line in passages
        ],
    )


def _text(path: Path) -> str:
    """A file's text; "" for one that has none, whatever its name says."""
    try:
        text = read(path)
    except DocumentError as error:
        log.warning("passed over: %s", error)
        return ""
    # A converter may have made Markdown of it already.
    return of_html(text)[1] if text.lstrip().startswith("<") else text


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
