"""How calls begin and end otherwise: cancelled, closed, streamed, misconfigured, rejected by a check."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chain_desk import GOOD, Desk, ask_once, open_desk, response
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage

from desk import wiring
from desk.runtime.errors import SettingsError, WrongLoop
from desk.runtime.fleet import ModelRef
from desk.runtime.request import Request
from desk.runtime.run import CheckResult
from desk.workspace import Workspace


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return open_desk(tmp_path, monkeypatch)


def test_a_cancelled_request_is_recorded_with_what_it_may_have_cost(desk: Desk) -> None:
    desk.models = ["one:a"]
    desk.replies["a"] = [30.0]

    async def use(workspace: Workspace) -> None:
        asked = asyncio.ensure_future(ask_once(workspace, Request("?")))
        while not desk.asked:
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    desk.use(use)
    ((outcome, cost_source),) = desk.rows("outcome, cost_source")
    assert (outcome, cost_source) == ("aborted", "estimated")


def test_a_workspace_that_closes_records_what_is_under_way(desk: Desk) -> None:
    desk.models = ["one:a"]
    desk.replies["a"] = [30.0]

    async def use(workspace: Workspace) -> Any:
        asked = asyncio.ensure_future(ask_once(workspace, Request("?")))
        while not desk.asked:
            await asyncio.sleep(0.01)
        return asked

    desk.use(use)
    assert desk.rows() == [("a", "aborted", None)]


def test_an_answer_can_be_read_as_a_stream(desk: Desk) -> None:
    async def use(workspace: Workspace) -> str:
        workspace.chains["main"].shared.stream = None  # where it is, it has tests of its own
        prompt = [ModelRequest.user_text_prompt("Where is it?")]
        async with model_request_stream(workspace.chains["main"], prompt) as events:
            async for _ in events:
                pass
            return events.get().text or ""

    assert desk.use(use) == GOOD
    assert desk.rows() == [("a", "ok", None)]


def test_a_second_event_loop_is_refused(desk: Desk) -> None:
    async def use(workspace: Workspace) -> None:
        await ask_once(workspace, Request("?"))
        other = asyncio.to_thread(asyncio.run, ask_once(workspace, Request("?")))
        with pytest.raises(WrongLoop, match="event loop"):
            await other

    desk.use(use)


def test_a_model_that_cannot_be_set_up_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: ModelRef) -> FunctionModel:
        raise ImportError("No module named 'one'")

    monkeypatch.setattr(desk, "build", build)
    with pytest.raises(SettingsError, match=r"one:a cannot be set up .* run `uv sync`"):
        desk.ask()


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        (CheckResult("too_dull"), [("rejected", "too_dull", None), ("ok", None, None)]),
        ("too_dull", [("rejected", "too_dull", None), ("ok", None, None)]),
        (CheckResult(None, 0.5, "check"), [("ok", None, 0.5)]),
        (None, [("ok", None, None)]),
    ],
)
def test_a_check_rejects_an_answer_or_says_how_good_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, result: Any, rows: list[Any]
) -> None:
    results = [result, None]
    monkeypatch.setitem(wiring.CHECKS, "own", lambda _: lambda *_: results.pop(0))
    desk.settings = 'checks = ["own"]\n'
    assert desk.ask() == [GOOD]
    assert desk.rows("outcome, error_type, quality") == rows


def test_a_check_that_breaks_is_not_paid_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: Any) -> None:
        raise FileNotFoundError("words.txt")

    monkeypatch.setitem(wiring.CHECKS, "own", lambda _: check)
    desk.settings = 'checks = ["own"]\n'
    with pytest.raises(FileNotFoundError):
        desk.ask()
    assert desk.rows() == [("a", "aborted", None)]


def test_a_server_that_cut_the_prompt_is_rejected(desk: Desk) -> None:
    short = response(GOOD, "stop")
    short.usage = RequestUsage(input_tokens=600, output_tokens=10)
    desk.replies["a"] = [short]

    async def use(workspace: Workspace) -> str:
        return await ask_once(workspace, Request("word " * 4000))

    assert desk.use(use) == GOOD
    assert desk.rows()[0] == ("a", "rejected", "prompt_cut")
