"""Many requests from a file of JSON Lines, their results appended to another.

The results file is the only state: a line is there when its request is done, so a batch that was
stopped anyhow, even killed while it wrote a line, goes on where it was.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from .errors import FleetError, LedgerError, MissingKey, SettingsError
from .private import private_file
from .settings import Settings

GIVE_UP_AFTER = 20
"""After so many failures in a row, the rest would most likely fail as well."""
HEAD = b'{"id": '
"""How each line of a results file begins."""
FATAL = (LedgerError, MissingKey, SettingsError)
"""Errors that every other request of a batch would raise as well."""


class BatchError(FleetError):
    """A file of a batch cannot be used, or too many requests failed in a row."""


class Item(Settings):
    """A request of a batch. Without an `id` it goes by the number of its line, from 1."""

    text: str = Field(min_length=1)
    id: str | int = ""
    options: dict[str, str] = Field(default_factory=dict[str, str])
    user_ref: str | None = None

    def digest(self) -> str:
        """Return a short hash of what is asked: the same id with another text is another request."""
        asked = json.dumps([self.text, self.options], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:12]


def read_items(path: Path) -> dict[str, Item]:
    """Return the requests by id.

    Raises:
        BatchError: The file cannot be used; the message names its first bad line.
    """
    items: dict[str, Item] = {}
    for number, line in _lines(path):
        try:
            item = Item.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise BatchError(f"{path.name}:{number}: {where}: {first['msg']}") from None
        id_ = str(item.id) or str(number)
        if id_ in items:
            raise BatchError(f"{path.name}:{number}: id '{id_}' was there before", "ids are unique")
        items[id_] = item
    if not items:
        raise BatchError(
            f"{path.name} has no requests", 'write one {"id": ..., "text": ...} a line'
        )
    return items


class Results:
    """The results file: what is done, and appending to it. Use `with`."""

    def __init__(self, path: Path) -> None:
        """Read what is done, after repairing the last line."""
        self.path = path
        self.lines: dict[str, dict[str, Any]] = {}
        if path.exists():
            try:
                _repair(path)
            except OSError as error:
                raise BatchError(f"{path} cannot be used: {error.strerror}") from None
            for number, line in _lines(path):
                try:
                    result = json.loads(line)
                    self.lines[result["id"]] = result | {"output": result["output"]}
                except (ValueError, TypeError, KeyError):
                    raise BatchError(
                        f"{path.name}:{number} is not a result of a batch", "take another --out"
                    ) from None

    def __enter__(self) -> Self:
        """Open the file to append to it."""
        try:
            self._file = private_file(self.path).open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            raise BatchError(f"{self.path} cannot be written: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def missing(self, items: dict[str, Item]) -> list[tuple[str, Item]]:
        """Return the requests that are still to be done.

        Raises:
            BatchError: An id was done for another request.
        """
        for id_, item in items.items():
            if self.lines.get(id_, {}).get("digest", item.digest()) != item.digest():
                raise BatchError(
                    f"{self.path.name} has a result for id '{id_}' of another text or options",
                    "take another --out",
                )
        return [(id_, item) for id_, item in items.items() if id_ not in self.lines]

    def add(self, line: dict[str, Any]) -> None:
        """Append one result; it survives a kill from here on."""
        self.lines[line["id"]] = line
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


async def work_off(
    waiting: Sequence[tuple[str, Item]],
    concurrency: int,
    do: Callable[[str, Item], Awaitable[None]],
    failed: Callable[[str, FleetError], None],
) -> None:
    """Run `do` on each request, at most `concurrency` at once; `failed` gets the failures.

    Raises:
        FleetError: A fatal one, at once.
        BatchError: Too many requests failed in a row.
    """
    queue = iter(waiting)
    in_a_row = 0

    async def worker() -> None:
        nonlocal in_a_row
        for id_, item in queue:
            try:
                await do(id_, item)
                in_a_row = 0
            except FATAL:
                raise
            except FleetError as error:
                failed(id_, error)
                in_a_row += 1
                if in_a_row >= max(GIVE_UP_AFTER, concurrency):
                    raise BatchError(f"{in_a_row} requests in a row failed: {error}") from None

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, len(waiting))):
                workers.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise BatchError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BatchError(f"{path.name} is not UTF-8 text", "save it as such") from None


def _repair(path: Path) -> None:
    """End the last line: complete it, or take it out when only a part of it was written."""
    data = path.read_bytes()
    last = data[data.rfind(b"\n") + 1 :]
    if not last:
        return
    with path.open("r+b") as file:
        try:
            json.loads(last)
            file.seek(0, 2)
            file.write(b"\n")
        except ValueError:
            if HEAD.startswith(last[: len(HEAD)]):  # else it is another file, and left alone
                file.truncate(len(data) - len(last))
