"""The checks that a stage names: length, pattern, and a judge."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from desk.runtime.errors import ChainExhausted, SettingsError
from desk.runtime.fleet import ModelRef
from desk.runtime.request import Request
from desk.runtime.subagent import OUTPUT_TOOL, SubAgent
from desk.workspace import Workspace

ANSWER = "Paris is the capital of France."
FLEET = """
[chains.main]
models = ["one:a"]
backoff_s = 0
[stages.answer]
chain = "main"
task_type = "answering"
checks = ["{check}"]
"""


def ask(root: Path, check: str, score: float | None = None) -> str:
    """Return the answer of a model that is judged with this score; None: the judge fails."""

    def reply(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if not info.output_tools:
            return ModelResponse(parts=[TextPart(ANSWER)])
        if score is None:
            raise ConnectionError("down")
        return ModelResponse(parts=[ToolCallPart(OUTPUT_TOOL, {"score": score, "reason": "?"})])

    def build(ref: ModelRef) -> FunctionModel:
        return FunctionModel(reply, model_name=ref.model)

    async def play() -> Any:
        async with Workspace.open(root, build=build) as workspace:
            return await workspace.start(Request("?")).ask(SubAgent("answer", str), "Where?")

    (root / "fleet.toml").write_text(FLEET.replace("{check}", check))
    return asyncio.run(play())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    return tmp_path


@pytest.mark.parametrize(
    ("check", "score"),
    [
        ("length:5-", None),
        ("length:-100", None),
        ("pattern:^Paris", None),
        ("judge:0.5", 0.5),
        ("judge", 1.0),
        ("judge", None),
    ],
)
def test_an_answer_that_passes_is_returned(root: Path, check: str, score: float | None) -> None:
    assert ask(root, check, score) == ANSWER


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("length:-5", "too_long"),
        ("length:100-", "too_short"),
        ("pattern:^Rome", "no_match"),
        ("judge:0.9", "low_score"),
    ],
)
def test_an_answer_that_does_not_pass_is_rejected(root: Path, check: str, reason: str) -> None:
    with pytest.raises(ChainExhausted, match=reason):
        ask(root, check, 0.5)


@pytest.mark.parametrize(
    ("check", "advice"),
    [
        ("length", "two numbers"),
        ("length:9-5", "smaller number comes first"),
        ("pattern:(", "regular expression"),
        ("judge:7", "number from 0 to 1"),
    ],
)
def test_a_wrong_argument_is_said_with_what_is_right(root: Path, check: str, advice: str) -> None:
    with pytest.raises(SettingsError, match=advice):
        ask(root, check)
