"""Concurrency limits and circuit breakers, as the server sees them."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest

from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CALLS = 30
QUESTION: list[ModelMessage] = [ModelRequest.user_text_prompt("?")]


def crowd(desk: Desk, times: int = CALLS, **request: Any) -> list[str]:
    """So many requests at once; "answered", or the name of the error, of each."""
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> list[str]:
        return [outcome(one) for one in await gather_calls(workspace, asked("?", **request), times)]

    return desk.play(use)


async def gather_calls(workspace: Any, request: Any, times: int) -> list[Any]:
    calls = (workspace.handle(request) for _ in range(times))
    return await asyncio.gather(*calls, return_exceptions=True)


async def read(chain: Any) -> str:
    """Return the text of a streamed answer, read to its end."""
    async with model_request_stream(chain, QUESTION) as events:
        async for _ in events:
            pass
        return events.get().text or ""


def outcome(one: Any) -> str:
    return type(one).__name__ if isinstance(one, BaseException) else one.status


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


# Circuit breakers.

OPEN_S = 3.0


def breaker(desk: Desk, *replies: Reply, failures: int = 3, open_s: float = OPEN_S) -> None:
    desk.models = ["openai:breaks", "anthropic:ok"]
    desk.more = f"[circuits]\nfailures = {failures}\nopen_s = {open_s}\n"
    desk.server.script["breaks"] = list(replies)


def of(desk: Desk, model: str) -> list[str]:
    return [row[2] or row[1] for row in desk.rows() if row[0] == model]


def one_by_one(desk: Desk, *pauses: float) -> None:
    """Make a request after each pause."""
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for pause in pauses:
            await asyncio.sleep(pause)
            await workspace.handle(asked("?"))

    desk.play(use)


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


@pytest.mark.slow
@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_one_probe_only_when_half_open(desk: Desk, limited: bool, streamed: bool) -> None:
    """50 callers at once find a circuit whose pause is over: one of them probes."""
    breaker(desk, *[Reply(status=503)] * 3, Reply(status=503, delay_s=0.2))
    desk.more += '[limits]\n"openai@openai" = 50\n' if limited else ""
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for _ in range(3):
            await workspace.handle(asked("?"))
        await asyncio.sleep(OPEN_S + 0.1)
        if streamed:
            await asyncio.gather(*(read(workspace.chains["main"]) for _ in range(50)))
        else:
            await gather_calls(workspace, asked("?"), 50)

    desk.play(use)
    assert Counter(desk.hits()) == {"breaks": 4, "ok": 53}
    assert Counter(of(desk, "breaks")) == {"overloaded": 4, "circuit_open": 49}


@pytest.mark.slow
def test_one_probe_only_when_its_callers_queue_for_a_slot(desk: Desk) -> None:
    """Who waited in the queue while the probe failed does not ask after it."""
    breaker(desk, *[Reply(status=503)] * 3, Reply(status=503, delay_s=0.05))
    desk.more += '[limits]\n"openai@openai" = 1\n'
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for _ in range(3):
            await workspace.handle(asked("?"))
        await asyncio.sleep(OPEN_S + 0.1)
        await gather_calls(workspace, asked("?"), 50)

    desk.play(use)
    assert Counter(desk.hits()) == {"breaks": 4, "ok": 53}


def test_who_queues_when_a_circuit_opens_does_not_ask(desk: Desk) -> None:
    """Of a crowd in front of a provider that is down, only so many find out."""
    breaker(desk, Reply(status=503, delay_s=0.02), open_s=60)
    desk.more += '[limits]\n"openai@openai" = 1\n'
    assert crowd(desk, 30) == ["answered"] * 30
    assert Counter(desk.hits())["breaks"] == 3


@pytest.mark.slow
def test_a_probe_that_succeeds_closes_the_circuit_for_all(desk: Desk) -> None:
    breaker(desk, *[Reply(status=503)] * 3, Reply())
    one_by_one(desk, 0, 0, 0, 0, OPEN_S + 0.1, 0, 0)
    assert of(desk, "breaks") == ["overloaded"] * 3 + ["circuit_open"] + ["ok"] * 3


@pytest.mark.slow
def test_a_probe_that_fails_opens_it_again(desk: Desk) -> None:
    breaker(desk, Reply(status=503))
    one_by_one(desk, 0, 0, 0, OPEN_S + 0.1, 0, 0)
    assert of(desk, "breaks") == ["overloaded"] * 4 + ["circuit_open"] * 2


@pytest.mark.slow
def test_a_cancelled_probe_does_not_lock_the_circuit(desk: Desk) -> None:
    breaker(desk, *[Reply(status=503)] * 3, Reply(fault="hang"), Reply())
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for _ in range(3):
            await workspace.handle(asked("?"))
        await asyncio.sleep(OPEN_S + 0.1)
        probe = asyncio.create_task(workspace.handle(asked("?")))
        await until(lambda: Counter(desk.hits())["breaks"] == 4)
        probe.cancel()
        await asyncio.wait([probe])
        await asyncio.sleep(OPEN_S + 0.1)
        await workspace.handle(asked("?"))

    desk.play(use)
    assert of(desk, "breaks") == ["overloaded"] * 3 + ["aborted", "ok"]


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


@pytest.mark.slow
def test_all_circuits_open_are_tried_before_a_call_is_refused(desk: Desk) -> None:
    breaker(desk, Reply(status=503), failures=1, open_s=60)
    desk.models = ["openai:breaks"]
    asked, exhausted = (
        desk.module("runtime.run").Request,
        desk.module("runtime.errors").ChainExhausted,
    )

    async def use(workspace: Any) -> None:
        with pytest.raises(exhausted, match="overloaded"):
            await workspace.handle(asked("?"))
        with pytest.raises(exhausted, match="circuit_open"):
            await workspace.handle(asked("?"))
        desk.server.script["breaks"] = [Reply()]
        await asyncio.gather(*(workspace.handle(asked("?")) for _ in range(30)))

    desk.play(use)
    assert of(desk, "breaks").count("ok") == 30
    assert ("breaks", "skipped", "circuit_open") in desk.rows()


@pytest.mark.parametrize("wires", [("openai", "anthropic"), ("anthropic", "openai")])
def test_an_outage_of_a_second_refuses_nobody(desk: Desk, wires: tuple[str, str]) -> None:
    """Every model is down when the first calls come, and up before the last one has given up."""
    names = [f"down-{wire}" for wire in wires]
    desk.models = [f"{wire}:{name}" for wire, name in zip(wires, names, strict=True)]
    desk.rules = {"backoff_s": 0.2}
    for name in names:
        desk.server.script[name] = [Reply(status=503)]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        calls = [asyncio.create_task(workspace.handle(run.Request("?"))) for _ in range(60)]
        await until(lambda: len(desk.server.seen) >= 10)
        for name in names:
            desk.server.script[name] = [Reply()]
        await asyncio.gather(*calls)

    desk.play(use)
    assert len([row for row in desk.rows() if row[1] == "ok"]) == 60


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


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_a_slow_probe_is_waited_for(desk: Desk, wire: str) -> None:
    breaker(desk, Reply(status=503), failures=1, open_s=60)
    desk.models = [f"{wire}:breaks"]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        with pytest.raises(desk.module("runtime.errors").ChainExhausted):
            await workspace.handle(run.Request("?"))
        desk.server.forget()
        desk.server.script["breaks"] = [Reply(delay_s=0.5), Reply()]
        probe = asyncio.create_task(workspace.handle(run.Request("?")))
        await until(lambda: desk.server.under_way.get("breaks", 0) == 1)
        await asyncio.gather(probe, *(workspace.handle(run.Request("?")) for _ in range(5)))

    desk.play(use)
    probe, *others = (seen.at for seen in desk.server.seen)
    assert len(others) == 5
    assert min(others) - probe >= 0.5, "one request is the probe; the others wait for its answer"


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
