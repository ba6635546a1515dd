"""A workspace with one chain of scripted models, for tests."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flat_prices import set_prices
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from desk.runtime import chain
from desk.runtime.errors import BudgetReached, ChainExhausted
from desk.runtime.fleet import ModelRef
from desk.runtime.request import Request
from desk.runtime.subagent import SubAgent
from desk.workspace import Workspace

GOOD = "Paris is the capital of France."
PRICES = {"one:a": (1000, 1000), "two:c": (1, 1)}
Reply = str | ModelResponse | Exception | float
"""A text, a response, an error, or seconds to hang before a good answer."""


def http_error(status: int, **headers: str) -> ModelHTTPError:
    return ModelHTTPError(status, "m", {"message": "It failed."}, headers=headers)


def response(text: str, reason: Any = None, raw: str | None = None) -> ModelResponse:
    return ModelResponse(
        parts=[TextPart(text)],
        usage=RequestUsage(input_tokens=100, output_tokens=10),
        finish_reason=reason,
        provider_details={"finish_reason": raw} if raw else None,
        provider_url="http://127.0.0.1:9",
    )


class Desk:
    """A workspace whose models, by name, give replies in order; the last one is repeated."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[str] = []
        self.models = ["one:a", "two:c"]
        self.rules = ""
        self.settings = ""
        self.profile: ModelProfile | None = None

    def build(self, ref: ModelRef) -> FunctionModel:
        async def reply(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            return await self._reply(ref.model)

        return FunctionModel(reply, model_name=ref.model, profile=self.profile)

    async def _reply(self, model: str) -> ModelResponse:
        self.asked.append(model)
        left = self.replies.get(model, [GOOD])
        next_ = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(next_, Exception):
            raise next_
        if isinstance(next_, float | int):
            await asyncio.sleep(next_)
            next_ = GOOD
        return response(next_, "stop") if isinstance(next_, str) else next_

    def use(self, use: Callable[[Workspace], Awaitable[Any]]) -> Any:
        """Open the workspace and use it."""
        models = ", ".join(f'"{model}"' for model in self.models)
        (self.root / "fleet.toml").write_text(
            f"[chains.main]\nmodels = [{models}]\nbackoff_s = 0.01\n{self.rules}\n"
            '[chains.cheap]\nmodels = ["two:c"]\nbackoff_s = 0.01\n'
            '[stages.answer]\nchain = "main"\ntask_type = "answering"\n' + self.settings
        )

        async def play() -> Any:
            async with Workspace.open(self.root, build=self.build) as workspace:
                return await use(workspace)

        return asyncio.run(play())

    def ask(self, times: int = 1, **request: Any) -> list[str]:
        """Return the answers, or the names of the errors, of as many requests."""

        async def ask(workspace: Workspace) -> list[str]:
            said: list[str] = []
            for _ in range(times):
                try:
                    said.append(await ask_once(workspace, Request("Where is it?", **request)))
                except (ChainExhausted, BudgetReached) as error:
                    said.append(type(error).__name__)
            return said

        return self.use(ask)

    def rows(self, columns: str = "request_model, outcome, error_type") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.root / "data" / "ledger.sqlite3")) as database:
            return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()


async def ask_once(workspace: Workspace, request: Request) -> str:
    return await workspace.start(request).ask(SubAgent("answer", str), request.text)


def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a workspace in this folder; pauses are short, and its models have prices."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.delenv("FLEET_LEDGER_URL", raising=False)
    monkeypatch.setattr(chain, "PAUSES", (0.02, 0.05, 0.2))
    set_prices(monkeypatch, PRICES)
    return Desk(tmp_path)
