"""Concurrency limits, as the server sees them."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from pydantic_ai.direct import model_request

from tests.crowds import (
    CALLS,
    QUESTION,
    crowd,
    gather_calls,
    outcome,
    read,
)
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_a_provider_never_has_more_under_way_than_its_limit(desk: Desk, streamed: bool) -> None:
    desk.models, desk.more = ["openai:paced"], '[limits]\n"openai@openai" = 3\n'
    desk.server.script["paced"] = [Reply(delay_s=0.05, pace_s=0.002)]
    if streamed:
        assert read_in_a_crowd(desk) == [TEXT] * CALLS
    else:
        assert crowd(desk) == ["answered"] * CALLS
    assert desk.server.most_at_once["paced"] == 3
    assert [row[1] for row in desk.rows()] == ["ok"] * CALLS


def read_in_a_crowd(desk: Desk) -> list[str]:
    async def use(workspace: Any) -> list[str]:
        chain = workspace.chains["main"]
        return await asyncio.gather(*(read(chain) for _ in range(CALLS)))

    return desk.play(use)


def test_a_limit_is_the_providers_not_the_models(desk: Desk) -> None:
    """Two models at the same place, in two chains, share its slots."""
    desk.models = ["openai:one"]
    desk.more = '[limits]\n"openai@openai" = 2\n[chains.other]\nmodels = ["openai:two@openai"]\n'
    desk.server.script |= {name: [Reply(delay_s=0.05)] for name in ("one", "two")}
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        other = workspace.chains["other"]
        await asyncio.gather(
            *(workspace.handle(asked("?")) for _ in range(10)),
            *(model_request(other, QUESTION) for _ in range(10)),
        )

    desk.play(use)
    assert desk.server.most_at_once[""] == 2
    assert Counter(desk.hits()) == {"one": 10, "two": 10}


def test_each_deployment_has_its_own_limit(desk: Desk) -> None:
    desk.models = ["openai:first"]
    url = desk.server.url("openai")
    desk.more = (
        f'[deployments.narrow]\nbase_url = "{url}"\nmax_concurrent = 1\n'
        f'[deployments.wide]\nbase_url = "{url}"\nmax_concurrent = 4\n'
        '[chains.narrow]\nmodels = ["openai:narrow@narrow"]\n'
        '[chains.wide]\nmodels = ["openai:wide@wide"]\n'
        "[limits]\nopenai = 2\n"
    )
    desk.server.script |= {name: [Reply(delay_s=0.05)] for name in ("narrow", "wide")}

    async def use(workspace: Any) -> None:
        await asyncio.gather(
            *(
                model_request(workspace.chains[name], QUESTION)
                for name in ("narrow", "wide")
                for _ in range(8)
            )
        )

    desk.play(use)
    assert desk.server.most_at_once["narrow"] == 1
    assert desk.server.most_at_once["wide"] == 4


def test_a_limit_of_a_provider_counts_where_no_deployment_is_named(desk: Desk) -> None:
    """`[limits] openai` is the usual place; a deployment is a place of its own."""
    desk.models, desk.more = ["openai:free"], "[limits]\nopenai = 1\n"
    desk.server.script["free"] = [Reply(delay_s=0.1)]
    assert crowd(desk, 5) == ["answered"] * 5
    assert desk.server.most_at_once["free"] == 5


async def while_full(desk: Desk, workspace: Any, times: int, **request: Any) -> list[Any]:
    """So many requests while another one, which hangs, has the only slot."""
    asked = desk.module("runtime.run").Request
    holder = asyncio.create_task(workspace.handle(asked("hold")))
    await until(lambda: desk.hits() == ["full"])
    try:
        return await gather_calls(workspace, asked("?", **request), times)
    finally:
        holder.cancel()
        await asyncio.wait([holder])


def full(desk: Desk, *others: str) -> None:
    desk.models, desk.more = ["openai:full", *others], '[limits]\n"openai@openai" = 1\n'
    desk.rules = {"deadline_s": 60}
    desk.server.script["full"] = [Reply(fault="hang"), Reply()]


def test_a_call_whose_time_is_up_in_the_queue_is_busy(desk: Desk) -> None:
    full(desk)
    exhausted = desk.module("runtime.errors").ChainExhausted

    async def use(workspace: Any) -> None:
        ended = await while_full(desk, workspace, 4, deadline_s=0.5)
        assert all(isinstance(one, exhausted) and "busy" in str(one) for one in ended), ended

    desk.play(use)
    assert desk.rows() == [("full", "skipped", "busy")] * 4 + [("full", "aborted", None)]
    assert desk.hits() == ["full"]
    assert not desk.server.outlasted, "nobody waited for the one that holds the place"


@pytest.mark.slow
def test_a_call_that_waits_in_a_queue_goes_on_to_the_next_in_time(desk: Desk) -> None:
    """The queue of one place is not a reason to miss the deadline: the share of time is kept."""
    full(desk, "anthropic:ok")

    async def use(workspace: Any) -> None:
        ended = await while_full(desk, workspace, 4, deadline_s=1)
        assert [outcome(one) for one in ended] == ["answered"] * 4

    desk.play(use)
    rows = Counter(desk.rows())
    assert (rows["full", "skipped", "busy"], rows["ok", "ok", None]) == (4, 4)


def test_being_busy_is_no_failure_of_the_model(desk: Desk) -> None:
    """A queue does not open a circuit: what waits was never asked."""
    full(desk, "anthropic:ok")
    desk.more += "[circuits]\nfailures = 1\nopen_s = 60\n"
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        await while_full(desk, workspace, 4, deadline_s=0.5)
        await workspace.handle(asked("once more"))

    desk.play(use)
    assert desk.rows()[-1] == ("full", "ok", None)


@pytest.mark.slow
def test_the_time_in_the_queue_is_none_of_the_attempts(desk: Desk) -> None:
    """Who gets the slot late has a time of its own; the row has the time that the model took."""
    desk.models, desk.rules = ["openai:paced"], {"attempt_s": 2, "deadline_s": 60}
    desk.more = '[limits]\n"openai@openai" = 1\n[circuits]\nfailures = 1\nopen_s = 60\n'
    desk.server.script["paced"] = [Reply(delay_s=1.2)]
    assert crowd(desk, 2) == ["answered"] * 2
    rows = desk.rows("outcome, latency_ms")
    assert [row[0] for row in rows] == ["ok"] * 2
    assert all(1200 <= row[1] < 2000 for row in rows), rows


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_a_slot_that_comes_too_late_is_not_taken(desk: Desk, streamed: bool) -> None:
    """A model that gets no fair time to answer is left alone, and its circuit stays closed."""
    desk.models, desk.rules = ["openai:paced"], {"deadline_s": 3}
    desk.more = '[limits]\n"openai@openai" = 1\n[circuits]\nfailures = 1\nopen_s = 60\n'
    desk.server.script["paced"] = [Reply(delay_s=2), Reply()]
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        chain = workspace.chains["main"]
        calls = [read(chain) if streamed else model_request(chain, QUESTION) for _ in range(2)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(ended[1], desk.module("runtime.errors").ChainExhausted), ended
        await workspace.handle(asked("once more"))

    desk.play(use)
    rows = sorted(desk.rows())
    assert rows == [("paced", "ok", None)] * 2 + [("paced", "skipped", "busy")]
    assert desk.hits() == ["paced"] * 2
