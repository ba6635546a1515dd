"""Chains of a rendered workspace, pointed at the loopback server."""

import asyncio
import importlib
import json
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from scaffold.catalog.catalog import Catalog
from scaffold.rendering.render import render
from tests.conftest import ROOT
from tests.loopback import Server, serve
from tests.specs import complete

FORMATS = ("openai", "azure", "anthropic", "google", "mistral", "bedrock")


@dataclass
class Desk:
    """A fleet.toml of one chain `main`, and what a call to it came to."""

    package: str
    server: Server
    root: Path
    models: Sequence[str] = ()
    rules: dict[str, Any] = field(default_factory=dict[str, Any])
    more: str = ""
    checks: Sequence[str] = ()
    seconds: float = 0.0

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")

    def deployment(self, name: str) -> Any:
        url = self.server.url(name)
        return self.module("runtime.fleet").Deployment(base_url=url, region="eu-central-1")

    def write(self) -> None:
        """`models` are `format:model`; each format is a deployment of the loopback server."""
        refs = [f"{model}@{model.partition(':')[0]}" for model in self.models]
        rules = {"backoff_s": 0.05, **self.rules}
        lines = [f"[chains.main]\nmodels = {json.dumps(refs)}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in rules.items()]
        lines += ['[stages.answer]\nchain = "main"\ntask_type = "answering"']
        lines += [f"checks = {json.dumps(list(self.checks))}"]
        for name in FORMATS:
            url = self.server.url(name)
            lines.append(f'[deployments.{name}]\nbase_url = "{url}"\nregion = "eu-central-1"')
        (self.root / "fleet.toml").write_text("\n".join(lines) + "\n" + self.more)

    def play(self, use: Callable[[Any], Awaitable[Any]], build: Any = None) -> Any:
        """Open the workspace and use it; `seconds` is what the use took.

        `build` makes the models instead of the providers, from what fleet.toml calls them.
        """
        self.write()
        workspace = self.module("workspace").Workspace

        async def run() -> Any:
            async with workspace.open(self.root, build=build) as opened:
                for chain in opened.chains.values():  # an import is not what is timed here
                    for candidate in chain.candidates:
                        await candidate.load()
                started = time.perf_counter()
                try:
                    return await use(opened)
                finally:
                    self.seconds = time.perf_counter() - started

        return asyncio.run(run())

    def cancelled(self, when: Callable[[], bool], within_s: float = 10, **request: Any) -> None:
        """Ask, and cancel as soon as `when` is true. The workspace is closed in order after it."""
        run = self.module("runtime.run")

        async def use(workspace: Any) -> None:
            task = asyncio.create_task(workspace.handle(run.Request("What is it?", **request)))
            await until(when, within_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self.play(use)

    def ask(self, text: str = "What is the capital of France?", **request: Any) -> Any:
        """Return the answer of the whole flow to one request."""
        run = self.module("runtime.run")
        return self.play(lambda workspace: workspace.handle(run.Request(text, **request)))

    def rows(self, columns: str = "request_model, outcome, error_type") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.root / "data" / "ledger.sqlite3")) as database:
            return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()

    def hits(self) -> list[str]:
        return [seen.model for seen in self.server.seen]


async def until(true: Callable[[], bool], within_s: float = 10) -> None:
    """Wait for something that another thread or task brings about."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


@contextmanager
def import_rendered(
    catalog: Catalog, folder: Path, package: str, answers: dict[str, Any]
) -> Iterator[str]:
    """Render a workspace from these answers, and make it importable as `package` meanwhile."""
    spec = complete(catalog, {**answers, "package": package}, folder_name="desk")
    render(ROOT, folder / "desk", spec.answers(), source="somewhere", commit="v1")
    sys.path.insert(0, str(folder / "desk" / "src"))
    try:
        yield package
    finally:
        sys.path.remove(str(folder / "desk" / "src"))


@pytest.fixture(scope="session")
def loopback() -> Iterator[Server]:
    with serve(3600) as server:  # a session on a busy machine takes long
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how many seconds each wait was asked for, by this code or a client's."""
    asked: list[float] = []

    def note(wait: Callable[[float], Any]) -> Callable[[float], Any]:
        def wait_and_note(seconds: float) -> Any:
            if seconds > 0:
                asked.append(seconds)
            return wait(seconds)

        return wait_and_note

    for module in (asyncio, anyio, time):
        monkeypatch.setattr(module, "sleep", note(module.sleep))
    return asked


@pytest.fixture
def desk(
    every_provider: str,
    every_key: None,  # noqa: ARG001 - a fixture that only sets the environment
    loopback: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    loopback.script.clear()
    loopback.forget()
    return Desk(every_provider, loopback, tmp_path)
