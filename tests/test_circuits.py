"""Circuit breakers: what opens one, and for whom."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from pydantic_ai.direct import model_request

from tests.crowds import (
    QUESTION,
    breaker,
    crowd,
    of,
    one_by_one,
)
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=503), "overloaded"),
        (Reply(fault="cut"), "network"),
        (Reply(status=401), "authentication"),
        (Reply(status=404), "unknown_model"),
    ],
)
def test_a_circuit_opens_after_failures_in_a_row(desk: Desk, reply: Reply, kind: str) -> None:
    breaker(desk, reply, open_s=60)
    one_by_one(desk, *[0] * 6)
    assert of(desk, "breaks") == [kind] * 3 + ["circuit_open"] * 3
    assert Counter(desk.hits())["breaks"] == 3


def test_a_success_in_between_starts_the_count_anew(desk: Desk) -> None:
    down = Reply(status=503)
    breaker(desk, down, down, Reply(), down, down, Reply(), open_s=60)
    one_by_one(desk, *[0] * 6)
    assert of(desk, "breaks") == ["overloaded", "overloaded", "ok"] * 2


@pytest.mark.parametrize(
    "reply", [Reply(text=""), Reply(status=400), Reply(status=413), Reply(finish="content_filter")]
)
def test_what_is_the_requests_fault_opens_no_circuit(desk: Desk, reply: Reply) -> None:
    breaker(desk, reply, failures=1, open_s=60)
    one_by_one(desk, 0, 0, 0)
    assert "circuit_open" not in of(desk, "breaks")


def test_who_queues_when_a_circuit_opens_does_not_ask(desk: Desk) -> None:
    """Of a crowd in front of a provider that is down, only so many find out."""
    breaker(desk, Reply(status=503, delay_s=0.02), open_s=60)
    desk.more += '[limits]\n"openai@openai" = 1\n'
    assert crowd(desk, 30) == ["answered"] * 30
    assert Counter(desk.hits())["breaks"] == 3


def test_chains_that_name_the_same_model_share_its_circuit(desk: Desk) -> None:
    breaker(desk, Reply(status=503), open_s=60)
    desk.more += '[chains.other]\nmodels = ["openai:breaks@openai", "mistral:fine@mistral"]\n'
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for _ in range(3):
            await workspace.handle(asked("?"))
        await model_request(workspace.chains["other"], QUESTION)

    desk.play(use)
    rows = desk.rows("chain, request_model, error_type")
    assert rows[-2:] == [("other", "breaks", "circuit_open"), ("other", "fine", None)]


def test_another_model_of_the_same_provider_has_its_own_circuit(desk: Desk) -> None:
    breaker(desk, Reply(status=503), open_s=60)
    desk.models = ["openai:breaks", "openai:works"]
    one_by_one(desk, *[0] * 5)
    assert of(desk, "works") == ["ok"] * 5


@pytest.mark.parametrize("status", [401, 404])
def test_a_circuit_that_a_mistake_opened_stays_open(desk: Desk, status: int) -> None:
    """No key gets right by waiting for a second."""
    breaker(desk, Reply(status=status), failures=1, open_s=60)
    desk.models = ["openai:breaks"]
    exhausted = desk.module("runtime.errors").ChainExhausted

    async def use(workspace: Any) -> None:
        for _ in range(3):
            with pytest.raises(exhausted):
                await workspace.handle(desk.module("runtime.run").Request("?"))

    desk.play(use)
    assert of(desk, "breaks")[1:] == ["circuit_open"] * 2


def test_spent_credit_opens_a_circuit_whatever_the_reply_says_of_rate_limits(desk: Desk) -> None:
    body = '{"error": {"code": "insufficient_quota", "message": "Spent.", "type": "x"}}'
    desk.models, desk.more = ["openai:spent", "anthropic:ok"], "[circuits]\nfailures = 2\n"
    headers = {"x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "8ms"}
    desk.server.script["spent"] = [Reply(status=429, body=body, headers=headers)]
    request = desk.module("runtime.run").Request("?")

    async def use(workspace: Any) -> None:
        for _ in range(5):
            await workspace.handle(request)
            await asyncio.sleep(0.01)

    desk.play(use)
    assert desk.hits().count("spent") == 2


def test_a_retry_after_holds_whatever_answer_comes_late(desk: Desk) -> None:
    desk.models = ["openai:m", "anthropic:ok"]
    limited = Reply(status=429, headers={"Retry-After": "60"})
    desk.server.script["m"] = [Reply(delay_s=0.3), limited, Reply()]
    request = desk.module("runtime.run").Request("?")

    async def use(workspace: Any) -> None:
        slow = asyncio.ensure_future(workspace.handle(request))
        await until(lambda: desk.hits() == ["m"])
        await workspace.handle(request)
        await slow
        await workspace.handle(request)

    desk.play(use)
    assert desk.hits() == ["m", "m", "ok", "ok"]
