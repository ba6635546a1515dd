"""What a chain does about a failing primary: every row of the table in the design."""

import json
from typing import Any

import pytest

from tests.fleets import Desk, desk, loopback, waits
from tests.loopback import Reply

__all__ = ["desk", "loopback", "waits"]


@pytest.mark.parametrize("command", ["status-503", "status-529", "cut", "status-500"])
def test_another_provider_answers_before_any_retry(desk: Desk, command: str) -> None:
    desk.models = [f"openai:{command}", "openai:ok", "anthropic:ok"]
    assert "Paris" in desk.ask().output
    assert desk.rows("provider, outcome") == [("openai", "failed"), ("anthropic", "ok")]
    assert len(desk.hits()) == 2


def test_a_rate_limit_moves_on_at_once(desk: Desk, waits: list[float]) -> None:
    desk.models, desk.rules = ["openai:limited", "anthropic:ok"], {"deadline_s": 60}
    limited = Reply(status=429, headers={"Retry-After": "20"})
    desk.server.script["limited"] = [limited, Reply()]
    desk.ask()
    assert desk.rows() == [("limited", "failed", "rate_limited"), ("ok", "ok", None)]
    assert not waits


def test_a_hang_leaves_time_for_the_next(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:hang", "anthropic:ok"], {"deadline_s": 2}
    desk.ask()
    assert desk.rows() == [("hang", "failed", "timeout"), ("ok", "ok", None)]
    assert not desk.server.outlasted, "its share of the time ended it, not the server"


@pytest.mark.parametrize(
    ("command", "outcome", "reason"),
    [
        ("status-401", "failed", "authentication"),
        ("status-404", "failed", "unknown_model"),
        ("status-400", "failed", "bad_request"),
        ("empty", "rejected", "empty"),
        ("truncated", "rejected", "truncated"),
        ("refusal", "rejected", "refusal"),
        ("content-filter", "rejected", "content_filter"),
        ("html", "failed", "network"),
        ("wrong-json", "failed", "malformed"),
    ],
)
def test_a_failure_is_booked_and_the_next_answers(
    desk: Desk, command: str, outcome: str, reason: str
) -> None:
    desk.models = [f"openai:{command}", "anthropic:ok"]
    assert "Paris" in desk.ask().output
    assert desk.rows()[0] == (command, outcome, reason)
    assert desk.rows("fallback_from")[1] == (command,)


def test_a_rejected_answer_is_billed(desk: Desk) -> None:
    desk.models = ["openai:truncated", "anthropic:ok"]
    desk.ask()
    assert desk.rows("outcome, input_tokens, output_tokens")[0] == ("rejected", 120, 30)


def test_all_down_asks_everybody_twice(desk: Desk) -> None:
    desk.models = ["openai:status-503", "anthropic:status-529"]
    errors = desk.module("runtime.errors")
    with pytest.raises(errors.ChainExhausted, match=r"openai|status-503"):
        desk.ask()
    assert desk.hits() == ["status-503", "status-529"] * 2


def test_a_retry_heals(desk: Desk) -> None:
    desk.models = ["openai:flaky"]
    desk.server.script["flaky"] = [Reply(status=503), Reply()]
    desk.ask()
    assert desk.rows() == [("flaky", "failed", "overloaded"), ("flaky", "ok", None)]


@pytest.mark.parametrize("status", [429, 413])
def test_what_the_account_may_never_ask_is_not_asked_again(desk: Desk, status: int) -> None:
    """Neither in this call nor of a window as large; the next call may be smaller."""
    message = "Request too large for m on tokens per min (TPM): Limit 30000, Requested 30601."
    body = json.dumps(
        {"error": {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}}
    )
    desk.models = ["openai:gpt-5-nano", "openai:gpt-5-mini"]
    desk.server.script["gpt-5-nano"] = [
        Reply(status=status, body=body, headers={"Retry-After": "60"}),
        Reply(),
    ]
    desk.server.script["gpt-5-mini"] = [Reply(text="")]
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")

    async def use(workspace: Any) -> None:
        with pytest.raises(errors.ChainExhausted, match="request_too_large"):
            await workspace.handle(run.Request("long"))
        await workspace.handle(run.Request("short"))

    desk.play(use)
    assert desk.rows() == [
        ("gpt-5-nano", "failed", "request_too_large"),
        ("gpt-5-mini", "rejected", "empty"),
        ("gpt-5-nano", "ok", None),
    ]
