"""Streams as servers send them: when one is an answer, and when the next model is asked."""

import asyncio
import copy
import json
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest

from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.loopback.formats import FORMATS
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
WIRES = ("openai", "anthropic")
ROW = "outcome, error_type, input_tokens, output_tokens"


def read_stream(desk: Desk, provider: str, reply: Reply) -> str | None:
    """Return the text of a stream whose first model, of this provider, replies so."""
    desk.models = [f"{provider}:first", f"{'openai' if provider != 'openai' else 'anthropic'}:ok"]
    desk.server.script["first"] = [reply]

    async def use(workspace: Any) -> str | None:
        question = [ModelRequest.user_text_prompt("What is the capital of France?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
            return events.get().text

    return desk.play(use)


def drop_usage(event: Any) -> Any:
    if event.get("choices") == [] and event.get("usage"):
        return None
    return event


def test_a_whole_stream_without_usage_is_an_answer(desk: Desk) -> None:
    assert read_stream(desk, "openai", Reply(edit=drop_usage)) == TEXT
    assert desk.rows(ROW) == [("ok", None, None, None)]


def test_usage_in_several_chunks_counts_once(desk: Desk) -> None:
    """Some servers repeat the usage so far in every chunk."""
    count = 0

    def edit(event: Any) -> Any:
        nonlocal count
        count += 1
        used = {"prompt_tokens": 120, "completion_tokens": min(count, 30)}
        if event.get("choices"):
            event["usage"] = used | {"total_tokens": 120 + min(count, 30)}
        return event

    assert read_stream(desk, "openai", Reply(edit=edit)) == TEXT
    assert desk.rows(ROW) == [("ok", None, 120, 30)]


def test_usage_in_several_events_counts_once_in_the_other_format(desk: Desk) -> None:
    assert read_stream(desk, "anthropic", Reply()) == TEXT
    assert desk.rows(ROW) == [("ok", None, 120, 30)]


@pytest.mark.parametrize(("reason", "accepted"), [("eos", True), ("abort", False)])
def test_an_end_by_another_name(desk: Desk, reason: str, accepted: bool) -> None:
    def edit(event: Any) -> Any:
        for choice in event["choices"]:
            choice["finish_reason"] = choice["finish_reason"] and reason
        return event

    desk.rules = {"on_cut": "restart"}
    assert read_stream(desk, "openai", Reply(edit=edit)) == TEXT
    assert desk.rows("outcome")[0] == ("ok" if accepted else "rejected",)


def test_a_stream_that_gives_no_reason_ends_with_its_usage(desk: Desk) -> None:
    def edit(event: Any) -> Any:
        for choice in event["choices"]:
            choice["finish_reason"] = None
        return event

    assert read_stream(desk, "openai", Reply(edit=edit)) == TEXT
    assert desk.rows("outcome") == [("ok",)]
    desk.rules = {"on_cut": "restart"}
    read_stream(desk, "openai", Reply(edit=lambda event: drop_usage(edit(event))))
    assert desk.rows("outcome, error_type")[1:] == [("failed", "network"), ("ok", None)]


def thinking(event: Any) -> Any:
    """Return an event of a stream with thoughts in place of words."""
    event = copy.deepcopy(event)
    for choice in event.get("choices", ()):
        if words := choice["delta"].pop("content", None):
            choice["delta"]["reasoning_content"] = words
    if event.get("type") == "content_block_start":
        event["content_block"] = {"type": "thinking", "thinking": "", "signature": ""}
    if event.get("type") == "content_block_delta":
        event["delta"] = {"type": "thinking_delta", "thinking": event["delta"]["text"]}
    return event


@pytest.mark.parametrize("fault", ["cut", "end", "error", None])
@pytest.mark.parametrize("provider", WIRES)
def test_who_still_thinks_has_said_nothing(desk: Desk, provider: str, fault: Any) -> None:
    """Whatever `on_cut` says: nothing was shown."""
    reply = Reply(
        fault=fault,
        after=5 if fault else None,
        edit=thinking,
    )
    assert read_stream(desk, provider, reply) == TEXT
    first, second = desk.rows("outcome, error_type")
    assert first[0] in ("failed", "rejected")
    assert second == ("ok", None)


@pytest.mark.parametrize(
    "provider", [WIRES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in WIRES[1:])]
)
def test_a_stream_thinks_before_it_speaks(desk: Desk, provider: str) -> None:
    """Thinking takes longer than an attempt may take: every event has a time of its own."""
    said = 0

    def edit(event: Any) -> Any:
        nonlocal said
        event = copy.deepcopy(event)
        for choice in event.get("choices", ()):
            if words := choice["delta"].get("content"):
                said += 1
                if said < 8:
                    choice["delta"] = {"reasoning_content": words}
        return event

    desk.rules = {"attempt_s": 1.5}
    reply = Reply(edit=edit, pace_s=0.15)
    assert read_stream(desk, provider, reply)
    assert desk.rows("outcome") == [("ok",)]
    assert desk.seconds > 1.5


@pytest.mark.parametrize("provider", WIRES)
def test_comments_and_empty_deltas_are_nothing(desk: Desk, provider: str) -> None:
    def edit(event: Any) -> Any:
        for choice in event.get("choices", ()):
            if not choice["finish_reason"] and not choice["delta"].get("content"):
                choice["delta"] = {"role": "assistant", "content": None}
        return None if event.get("type") == "ping" else event

    assert read_stream(desk, provider, Reply(edit=edit)) == TEXT
    assert desk.rows("outcome") == [("ok",)]


@pytest.mark.parametrize("provider", WIRES)
def test_a_body_with_comments_and_without_a_last_word(desk: Desk, provider: str) -> None:
    """Keep-alive comments, and no [DONE]: what says why it ended has ended."""
    wire, asked = FORMATS[provider], {"stream_options": {"include_usage": True}}
    pieces = [*wire.tokens("first", Reply(), asked), wire.ending("first", Reply(), asked)]
    body = b": keep-alive\n\n".join(pieces).decode().replace("data: [DONE]\n\n", "")
    reply = Reply(body=": OPENROUTER PROCESSING\n\n" + body, content_type="text/event-stream")
    assert read_stream(desk, provider, reply) == TEXT
    assert desk.rows(ROW) == [("ok", None, 120, 30)]


def test_a_stream_that_begins_anew_keeps_to_the_cheap_models_where_a_budget_says_so(
    desk: Desk,
) -> None:
    desk.models, desk.rules = ["openai:gpt-5"], {"on_cut": "restart"}
    cheap = ["anthropic:claude-haiku-4-5@anthropic", "openai:gpt-5-nano@openai"]
    desk.more = f"[chains.cheap]\nmodels = {json.dumps(cheap)}\n"
    desk.more += '[budgets]\nrun_usd = 0.000001\nat_limit = "cheap_only"\n'
    desk.server.script["claude-haiku-4-5"] = [Reply(fault="cut", after=10)]
    module = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        token = module.current.set(module.Stage(workspace.start(module.Request("?"))))
        question = [ModelRequest.user_text_prompt("What is the capital of France?")]
        for _ in range(2):
            async with model_request_stream(workspace.chains["main"], question) as events:
                async for _ in events:
                    pass
        module.current.reset(token)

    desk.play(use)
    assert desk.hits() == ["gpt-5", "claude-haiku-4-5", "gpt-5-nano"]


def test_two_calls_of_tools_with_one_id_do_not_end_a_stream(desk: Desk) -> None:
    function = {"name": "double", "arguments": '{"number": 2}'}
    call = {"id": "same", "type": "function", "function": function}
    calls: list[dict[str, Any]] = [{"index": index, **call} for index in range(2)]
    doubled: list[int] = []

    def edit(event: Any) -> Any:
        for choice in event["choices"]:
            if choice["finish_reason"]:
                choice["finish_reason"] = "tool_calls"
            elif choice["delta"].pop("content", None) and calls:
                choice["delta"]["tool_calls"] = [calls.pop(0)]
        return event

    def double(number: int) -> int:
        """Double a number."""
        doubled.append(number)
        return 2 * number

    async def use(workspace: Any) -> str:
        agent = Agent(workspace.chains["main"], tools=[double])
        async with agent.run_stream("What is twice 2?") as answer:
            return await answer.get_output()

    desk.models = ["openai:m"]
    desk.server.script["m"] = [Reply(edit=edit), Reply()]
    assert desk.play(use) == TEXT
    assert doubled == [2, 2]
    assert desk.rows("outcome") == [("ok",), ("ok",)]


def test_who_reads_slowly_opens_no_circuit(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:m"], {"deadline_s": 0.5}
    desk.more = "[circuits]\nfailures = 1\n"
    question = [ModelRequest.user_text_prompt("What is the capital of France?")]

    async def use(workspace: Any) -> None:
        chain = workspace.chains["main"]
        with pytest.raises(desk.module("runtime.stream").StreamCut, match="stalled"):
            async with model_request_stream(chain, question) as events:
                async for _ in events:
                    await asyncio.sleep(0.3)
        assert chain.candidates[0].unavailable is None

    desk.play(use)
    assert desk.rows("outcome, error_type") == [("failed", "stalled")]
