"""A rendered workspace whose models answer from a tape: no client, no network."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any


class Desk:
    """A workspace in a folder; its ledger is `ledger.sqlite3` there."""

    def __init__(self, package: str, root: Path, fleet: str = "") -> None:
        self.package = package
        self.root = root
        self.write(fleet)

    def write(self, fleet: str) -> None:
        (self.root / "fleet.toml").write_text(fleet)

    def module(self, name: str) -> Any:
        return import_module(f"{self.package}.{name}")

    def open(self, replies: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
        """Open a `Workspace` whose stages get these replies in order, the last one over again."""
        recorded = self.module("runtime.recorded")
        given = {
            stage: [recorded.Reply(**one) for one in several] for stage, several in replies.items()
        }
        tape = recorded.Tape(recorded.Scene(title="t", text="?", replies=given))
        return self.module("workspace").Workspace.open(
            self.root, build=lambda ref: recorded.RecordedModel(ref, tape)
        )

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """Return the rows of the ledger, in order of time."""
        with closing(sqlite3.connect(self.root / "ledger.sqlite3")) as ledger:
            return ledger.execute(
                f"SELECT {columns} FROM attempts ORDER BY ts_us, rowid"
            ).fetchall()
