"""Who asks a model whose circuit is open, and when."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.crowds import (
    OPEN_S,
    breaker,
    gather_calls,
    of,
    one_by_one,
    read,
)
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


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
