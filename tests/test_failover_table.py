"""What a chain does about a failing primary, row by row of the design's table, over real clients."""

import asyncio
import logging
from typing import Any

import pytest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent, TextPart

from tests.examples import first_quick
from tests.fleets import FORMATS, Desk, desk, loopback, waits
from tests.loopback import COMMANDS, Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback", "waits"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FAILED = {
    "status-503": "overloaded",
    "status-500": "overloaded",
    "status-429": "rate_limited",
    "status-401": "authentication",
    "status-403": "authentication",
    "status-404": "unknown_model",
    "status-400": "bad_request",
    "status-408": "timeout",
    "status-413": "context_too_long",
    "status-422": "bad_request",
    "status-504": "timeout",
    "cut": "network",
    "cut-body": "network",
    "html": "network",
    "wrong-json": "malformed",
    "wrong-shape": "malformed",
    "huge-error": "network",
}
REJECTED = {
    "empty": "empty",
    "truncated": "truncated",
    "refusal": "refusal",
    "content-filter": "content_filter",
}
# Clients differ in what they make of a body that is not an answer; the chain moves on from all of it.
ALSO = {
    ("google", "wrong-shape"): "broken_off",
    ("bedrock", "wrong-shape"): "network",
    ("mistral", "content-filter"): "broken_off",
    ("bedrock", "wrong-json"): "network",
    ("mistral", "wrong-json"): "network",
    ("mistral", "wrong-shape"): "network",
}


def other(provider: str) -> str:
    return "anthropic" if provider != "anthropic" else "openai"


@pytest.mark.slow
@pytest.mark.parametrize("provider", FORMATS)
def test_every_fault_of_every_format_moves_on(desk: Desk, provider: str) -> None:
    """One call per fault; the second model answers, and the ledger says why."""
    wrong: list[str] = []
    for command, kind in (FAILED | REJECTED).items():
        desk.models = [f"{provider}:{command}", f"{other(provider)}:ok"]
        assert desk.ask().output == TEXT, command
        first, second = desk.rows()[-2:]
        kinds = {kind, ALSO.get((provider, command))}
        if first[0] != command or first[2] not in kinds or second != ("ok", "ok", None):
            wrong.append(f"{command}: {first}, {second}")
        if command in REJECTED:
            assert first[1] == "rejected"
    assert not wrong


@pytest.mark.parametrize("provider", FORMATS)
def test_a_503_costs_one_request_and_no_wait(desk: Desk, provider: str, waits: list[float]) -> None:
    """What it takes in seconds, beside other libraries: `benchmarks/bench_chain.py`."""
    desk.models = [f"{provider}:status-503", f"{provider}:ok", f"{other(provider)}:ok"]
    assert desk.ask().output == TEXT
    assert not waits
    assert [seen.provider for seen in desk.server.seen] == [provider, other(provider)]


def test_a_rate_limited_model_cools_down_as_told(desk: Desk) -> None:
    desk.models = ["openai:limited", "anthropic:ok"]
    limited = Reply(status=429, headers={"Retry-After": "1"})
    desk.server.script["limited"] = [limited, Reply()]

    async def three(workspace: Any) -> None:
        run = desk.module("runtime.run")
        await workspace.handle(run.Request("1"))
        await workspace.handle(run.Request("2"))
        await asyncio.sleep(1.05)
        await workspace.handle(run.Request("3"))

    desk.play(three)
    assert desk.hits() == ["limited", "ok", "ok", "limited"]
    assert desk.rows() == [
        ("limited", "failed", "rate_limited"),
        ("ok", "ok", None),
        ("limited", "skipped", "cooling_down"),
        ("ok", "ok", None),
        ("limited", "ok", None),
    ]


def test_a_rate_limit_is_waited_for_when_no_other_is_left(desk: Desk, waits: list[float]) -> None:
    desk.models = ["openai:limited"]
    limited = Reply(status=429, headers={"Retry-After": "1"})
    desk.server.script["limited"] = [limited, Reply()]
    assert desk.ask().output == TEXT
    assert desk.seconds >= 1
    assert len(waits) == 1
    assert 0 < waits[0] <= 1


@pytest.mark.parametrize("provider", first_quick(FORMATS, 2))
def test_a_hang_gets_its_share_and_no_more(desk: Desk, provider: str) -> None:
    desk.models = [f"{provider}:hang", f"{other(provider)}:ok"]
    desk.rules = {"attempt_s": 0.5}
    assert desk.ask().output == TEXT
    assert desk.rows()[0] == ("hang", "failed", "timeout")
    assert not desk.server.outlasted, "its own limit ended it, not the server"


def test_two_hangs_end_within_the_deadline(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:hang", "anthropic:hang-body"], {"deadline_s": 1}
    with pytest.raises(desk.module("runtime.errors").ChainExhausted):
        desk.ask()
    assert not desk.server.outlasted


@pytest.mark.parametrize("command", ["status-401", "status-400", "status-404"])
def test_a_mistake_of_ours_is_told_loudly_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    desk.models = [f"openai:{command}", "anthropic:ok"]

    async def twice(workspace: Any) -> None:
        run = desk.module("runtime.run")
        for text in ("1", "2"):
            await workspace.handle(run.Request(text))

    with caplog.at_level(logging.WARNING):
        desk.play(twice)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert FAILED[command] in warnings[0].getMessage()


@pytest.mark.parametrize("command", list(REJECTED))
def test_what_is_rejected_is_billed_in_a_row_of_its_own(desk: Desk, command: str) -> None:
    desk.server.script["gpt-6-luna"] = [COMMANDS[command]]
    desk.models = ["openai:gpt-6-luna", "anthropic:claude-haiku-5-5"]
    answer = desk.ask()
    costs = [row[0] for row in desk.rows("cost_nano_usd")]
    assert all(cost > 0 for cost in costs)
    assert answer.cost_nano_usd == sum(costs)


def stream(desk: Desk) -> tuple[list[Any], Any]:
    """Return the events of one streamed call to the chain, and its final response."""

    async def read(workspace: Any) -> tuple[list[Any], Any]:
        question = [ModelRequest.user_text_prompt("What is the capital of France?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            seen = [event async for event in events]
            return seen, events.get()

    return desk.play(read)


def text_of(events: list[Any]) -> str:
    """Return what a reader has who starts anew at every start of the first part."""
    text = ""
    for event in events:
        if isinstance(event, PartStartEvent):
            text = event.part.content if isinstance(event.part, TextPart) else ""
        elif isinstance(event, PartDeltaEvent):
            text += getattr(event.delta, "content_delta", "")
    return text


@pytest.mark.parametrize("provider", FORMATS)
@pytest.mark.parametrize("command", ["cut-stream", "end-stream", "error-stream"])
def test_a_stream_that_breaks_off_starts_again(desk: Desk, provider: str, command: str) -> None:
    desk.models, desk.rules = (
        [f"{provider}:{command}", f"{other(provider)}:ok"],
        {"on_cut": "restart"},
    )
    events, response = stream(desk)
    restarted = desk.module("runtime.stream").Restarted
    assert sum(isinstance(event, restarted) for event in events) == 1
    assert text_of(events) == response.text == TEXT
    first, second = desk.rows()
    assert first[0] == command
    assert first[1] in ("failed", "rejected")
    assert second == ("ok", "ok", None)


@pytest.mark.parametrize("provider", FORMATS)
def test_a_stream_that_breaks_off_may_fail_with_what_it_had(desk: Desk, provider: str) -> None:
    desk.models, desk.rules = (
        [f"{provider}:cut-stream", f"{other(provider)}:ok"],
        {"on_cut": "fail"},
    )
    with pytest.raises(desk.module("runtime.stream").StreamCut) as caught:
        stream(desk)
    assert caught.value.partial
    assert TEXT.startswith(caught.value.partial.strip())
    assert desk.rows()[0][:2] == ("cut-stream", "failed")


@pytest.mark.parametrize("provider", FORMATS)
@pytest.mark.parametrize("command", ["status-503", "cut", "error-first", "empty"])
def test_before_the_first_word_a_stream_falls_back_freely(
    desk: Desk, provider: str, command: str
) -> None:
    desk.models = [f"{provider}:{command}", f"{other(provider)}:ok"]
    events, response = stream(desk)
    assert text_of(events) == response.text == TEXT
    assert not any(isinstance(event, desk.module("runtime.stream").Restarted) for event in events)


@pytest.mark.parametrize("provider", FORMATS)
def test_a_good_stream_is_booked_with_its_usage(desk: Desk, provider: str) -> None:
    desk.models = [f"{provider}:ok"]
    stream(desk)
    columns = "outcome, input_tokens, output_tokens, cache_read_input_tokens, ttft_ms IS NULL"
    assert desk.rows(columns) == [("ok", 120, 30, 20, 0)]
