"""A workspace whose chain ends in a person, for tests: its requests, its tickets, its command."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from desk import Request, Workspace, cli
from desk.configuration import ledger_location
from desk.runtime import chain, escalation
from desk.runtime.inbox import Ticket, Tickets
from desk.runtime.ledger.location import Location
from desk.runtime.recorded import RecordedModel, Reply, Scene, Tape

FLEET = """
[chains.main]
models = ["first:a", "second:b"]
on_exhausted = "human"
backoff_s = 0
[stages.answer]
chain = "main"
task_type = "answering"
[escalation]
max_open = {max_open}
expires_h = {expires_h}
keep_days = {keep_days}
"""
DOWN = Reply(status=503)  # both models fail, in both passes
TWELVE = Reply(text="Twelve.")


class TicketsDesk:
    """A workspace whose models all fail until its replies say otherwise."""

    def __init__(
        self, root: Path, patch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
    ) -> None:
        self.root, self._patch, self._output = root, patch, output
        patch.setenv("FLEET_ROOT", str(root))
        patch.setenv("FLEET_LEDGER_URL", f"sqlite:///{root}/ledger.sqlite3")
        patch.delenv("FLEET_ESCALATION_WEBHOOK", raising=False)
        patch.setattr(chain, "PAUSES", (0.01, 0.02))
        patch.setattr(escalation, "POLL_S", 0.01)
        self.set()

    def set(self, max_open: int = 200, expires_h: float = 72, keep_days: float = 30) -> None:
        text = FLEET.format(max_open=max_open, expires_h=expires_h, keep_days=keep_days)
        (self.root / "fleet.toml").write_text(text)

    def open(self, *replies: Reply) -> Any:
        """Open the workspace; its models give these replies in order, a last failure over again."""
        answers = {"answer": list(replies) or [DOWN], "count": [DOWN]}
        scene = Scene(title="test", text="?", replies=answers)
        tape = Tape(scene)
        return Workspace.open(self.root, build=lambda ref: RecordedModel(ref, tape))

    def ask(self, text: str, *replies: Reply, **asked: Any) -> Any:
        """Return the answer to one request, in a workspace of its own."""

        async def play() -> Any:
            async with self.open(*replies) as workspace:
                return await workspace.run("answer", Request(text, **asked))

        return asyncio.run(play())

    def command(self, *words: str, entered: str = "") -> tuple[int, Any]:
        """Return the exit status of `escalations ... --json`, and what it printed or advised."""
        self._patch.setattr("sys.argv", ["desk", "escalations", *words, "--json"])
        self._patch.setattr("sys.stdin", StringIO(entered))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = self._output.readouterr()
        if isinstance(ended.value.code, str):
            return 1, ended.value.code
        return int(ended.value.code or 0), json.loads(printed.out)

    @property
    def location(self) -> Location:
        return ledger_location(self.root)

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """Return the ledger's rows in order of time."""
        with closing(sqlite3.connect(self.root / "ledger.sqlite3")) as ledger:
            query = f"SELECT {columns} FROM attempts ORDER BY ts_us, rowid"
            return ledger.execute(query).fetchall()

    @contextmanager
    def inbox(self) -> Iterator[Tickets]:
        with closing(Tickets(self.root)) as tickets:
            yield tickets

    def tickets(self, state: str = "open") -> list[Ticket]:
        with self.inbox() as tickets:
            return tickets.select(state)
