"""A workspace whose chain ends in a person, for tests: its requests, its tickets, its command."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import commands, recorded

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
DOWN = {"status": 503}  # both models fail, in both passes


class Desk(recorded.Desk):
    """A workspace whose models all fail until its replies say otherwise."""

    def settle(self, max_open: int = 200, expires_h: float = 72, keep_days: float = 30) -> None:
        self.write(FLEET.format(max_open=max_open, expires_h=expires_h, keep_days=keep_days))

    def start(self, *replies: dict[str, Any]) -> Any:
        return self.open({"answer": replies or [DOWN]})

    def handle(self, text: str, *replies: dict[str, Any], **asked: Any) -> Any:
        """Return what becomes of one request, in a workspace of its own."""
        request = self.module("runtime.run").Request(text, **asked)

        async def play() -> Any:
            async with self.start(*replies) as workspace:
                return await workspace.run("answer", request)

        return asyncio.run(play())

    def command(self, *words: str, given: str = "", apart: bool = False) -> tuple[int, Any]:
        """`escalations ... --json`: its exit status, and what it printed.

        `apart` runs it in a process of its own, as the person who answers does.
        """
        asked = ("escalations", *words, "--json")
        run = self._apart if apart else commands.run
        done = run(self.package, *asked, folder=self.root, given=given, FLEET_ROOT=str(self.root))
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def _apart(
        self, package: str, *words: str, folder: Path, given: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        source = Path(self.module("workspace").__file__).parents[1]
        return subprocess.run(
            [sys.executable, "-m", package, *words],
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
            env={**os.environ, "PYTHONPATH": str(source), **settings},
        )

    def ledger(self) -> Any:
        """Return where the ledger is."""
        return self.module("configuration").ledger_location(self.root)

    def tickets(self, state: str = "open") -> list[Any]:
        tickets = self.module("runtime.inbox").Tickets(self.root)
        try:
            return tickets.select(state)
        finally:
            tickets.close()


@pytest.fixture
def desk(every_provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    monkeypatch.delenv("FLEET_ESCALATION_WEBHOOK", raising=False)
    desk = Desk(every_provider, tmp_path)
    desk.settle()
    return desk
