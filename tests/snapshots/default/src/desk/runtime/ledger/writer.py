"""The writing side of the ledger: one thread writes, and its callers wait for the commit.

What waits while a transaction runs is committed together by the next one. Rows that cannot be
written stay in memory until they can, and no further model is asked meanwhile.
"""

import asyncio
import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import LedgerError, LedgerUnavailable
from .attempt import DAY_S, Attempt, RowsRefused
from .location import LedgerSettings, Location, connect
from .rollup import Statement
from .spill import bring_in, set_aside

log = logging.getLogger(__name__)

RETRY_S = 1


@dataclass(slots=True, eq=False)
class _Write:
    """What one caller wants committed. One without rows asks whether rows could be written."""

    done: "asyncio.Future[LedgerError | None]"
    rows: Sequence[Attempt] = ()
    also: Sequence[Statement] = ()
    judged: Sequence[Attempt] = ()

    @property
    def has_rows(self) -> bool:
        return bool(self.rows or self.judged)

    def answer(self, error: LedgerError | None = None) -> None:
        """Let the caller go on. Only the first answer counts."""
        with suppress(RuntimeError):  # a closed loop: nobody waits any more
            self.done.get_loop().call_soon_threadsafe(self._settle, error)

    def _settle(self, error: LedgerError | None) -> None:
        if not self.done.done():  # else it was answered before, or its caller has left
            self.done.set_result(error)


class Ledger:
    """The ledger of an open workspace. `close` returns when everything is on disk."""

    def __init__(self, path: Location, settings: LedgerSettings | None = None) -> None:
        self.path = path
        self._retention_days = settings.retention_days if settings else 0
        self._database = connect(path)
        self._unwritten: list[_Write] = []
        self._is_proven = False
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._is_closed, self._pid = False, os.getpid()
        # A daemon: a program that dies must not hang on its ledger.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    async def write(
        self,
        rows: Sequence[Attempt],
        also: Sequence[Statement] = (),
        judged: Sequence[Attempt] = (),
    ) -> None:
        """Return when the rows are committed, or are in memory because they cannot be written.

        `also` runs in the same transaction. `judged` are rows that were written before, with how
        they ended. Raises RowsRefused for a wrong row.
        """
        await self._wait_for(rows, also, judged)

    async def ready(self) -> None:
        """Raise LedgerUnavailable where an attempt could not be recorded: then none may be made.

        Before the first call this is tried; afterwards the rows of each call show it.
        """
        self.expect_open()
        if self._unwritten or not self._is_proven:
            await self._wait_for()

    def expect_open(self) -> None:
        """Raise LedgerError when it is closed, or belongs to the process before a fork."""
        if self._pid != os.getpid():
            raise LedgerError("The workspace was opened before a fork", "open one in each process")
        if self._is_closed:
            raise LedgerError(f"The ledger {self.path} is closed", "open the workspace again")

    def close(self) -> None:
        """Commit what waits and end the thread."""
        atexit.unregister(self.close)
        if self._pid != os.getpid():  # the thread did not survive the fork
            return
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    async def _wait_for(self, *rows: Any) -> None:
        self.expect_open()
        write = _Write(asyncio.get_running_loop().create_future(), *rows)
        self._queue.put(write)
        if error := await write.done:
            raise error

    def _run(self) -> None:
        self._bring_in()
        prune_at, is_ending = time.monotonic(), False
        while not is_ending:
            batch = self._take(RETRY_S if self._unwritten else max(0, prune_at - time.monotonic()))
            is_ending = None in batch
            if batch or self._unwritten:
                self._commit([*self._unwritten, *(write for write in batch if write)])
            elif time.monotonic() >= prune_at:
                prune_at = time.monotonic() + (0 if self._prune() else DAY_S)
        set_aside(self.path, _attempts_of(self._unwritten))
        self._database.close()

    def _take(self, timeout_s: float) -> list[_Write | None]:
        """Return all that waits, after waiting for the first."""
        batch: list[_Write | None] = []
        with suppress(queue.Empty):
            batch.append(self._queue.get(timeout=timeout_s))
            while True:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, writes: Sequence[_Write]) -> None:
        """Commit all in one transaction, or each in its own where one has a wrong row."""
        try:
            self._save(writes)
        except RowsRefused as error:
            if len(writes) == 1:
                self._finish(writes, error)
            for write in writes if len(writes) > 1 else ():
                self._commit([write])
        except Exception as error:  # of any kind: callers wait for this thread
            self._keep(writes, error)
        else:
            self._finish(writes)

    def _save(self, writes: Sequence[_Write]) -> None:
        rows = [row for write in writes for row in write.rows]
        judged = [row for write in writes for row in write.judged]
        if rows or judged:
            also = [statement for write in writes for statement in write.also]
            self._database.write(rows, also, judged)
        else:
            self._database.expect_writable()

    def _finish(self, writes: Sequence[_Write], error: RowsRefused | None = None) -> None:
        """Tell callers how it ended; nothing of it is in memory any more."""
        self._is_proven = True
        if kept := [write for write in writes if write in self._unwritten]:
            for write in kept:
                self._unwritten.remove(write)
                if error:  # its caller has gone on
                    log.error("%s; it is lost: %s", error, [*write.rows, *write.judged])
            if not self._unwritten:
                log.warning("The attempts that were in memory alone are on disk now.")
        for write in writes:
            write.answer(error)

    def _keep(self, writes: Sequence[_Write], error: Exception) -> None:
        """Keep rows in memory. Their calls are paid for and go on; who asks for more is refused."""
        is_first = not self._unwritten
        self._unwritten += [one for one in writes if one.has_rows and one not in self._unwritten]
        count = len(_attempts_of(self._unwritten))
        refusal = LedgerUnavailable(
            "No model is asked while attempts cannot be recorded, "
            f"{count} of them are in memory alone ({error})",
            "calls go on by themselves once that works again",
        )
        if is_first and self._unwritten:
            log.error("%s", refusal)
        for write in writes:
            write.answer(None if write.has_rows else refusal)

    def _bring_in(self) -> None:
        try:
            if new := bring_in(self.path, self._database):
                log.warning("%d attempts that were set aside are in the ledger now", new)
        except Exception as error:  # of any kind: callers wait for this thread
            log.warning("Attempts that were set aside wait for another start: %s", error)

    def _prune(self) -> bool:
        """Remove old rows; return whether there are more."""
        try:
            return self._retention_days > 0 and self._database.prune(self._retention_days)
        except Exception as error:  # of any kind: callers wait for this thread
            log.warning("Old attempts stay for now: %s", error)
            return False


def _attempts_of(writes: Sequence[_Write]) -> list[Attempt]:
    """Return the attempts of some writes, each once and with its last verdict."""
    rows = (row for write in writes for row in (*write.rows, *write.judged))
    return list({(row.call_id, row.attempt): row for row in rows}.values())
