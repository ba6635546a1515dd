"""An attempt is in the ledger once its answer has arrived, whatever becomes of the call."""

import asyncio
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest

from tests import ledger_package
from tests.examples import examples
from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.stores import folder, keys, path, read_rows, rollup, store, write

__all__ = ["desk", "folder", "loopback", "path", "store"]
QUESTION = [ModelRequest.user_text_prompt("What is it?")]


def whole(desk: Desk) -> bool:
    """Whether the rollup of a desk's ledger is what its rows add up to."""
    store = ledger_package.module(desk.package, "store")
    ledger = desk.root / "data" / "ledger.sqlite3"
    return rollup(store, ledger) == ledger_package.fold(store, read_rows(store, ledger))


def ask_with(desk: Desk, check: Callable[..., Any]) -> Any:
    """Return the answer of one ask whose completion a check sees."""
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> Any:
        agent = run.SubAgent("answer", str, checks=(check,))
        return await workspace.start(run.Request("?")).ask(agent, "What is it?", chain="main")

    return desk.play(use)


def test_a_completion_is_in_the_ledger_before_it_is_checked(desk: Desk) -> None:
    desk.models = ["openai:gpt-6-luna", "anthropic:claude-haiku-4-5"]
    columns, seen = "request_model, outcome, error_type, input_tokens, cost_source", list[Any]()

    def check(*_: Any) -> str | None:
        seen.append(desk.rows(columns))
        return "too_short" if len(seen) == 1 else None

    ask_with(desk, check)
    first, second = ("gpt-6-luna", "aborted", None, 120, "list"), "claude-haiku-4-5"
    rejected = ("gpt-6-luna", "rejected", "too_short", 120, "list")
    assert seen == [[first], [rejected, (second, "aborted", None, 120, "list")]]
    assert desk.rows(columns) == [rejected, (second, "ok", None, 120, "list")]
    assert whole(desk)


def test_streams_are_in_the_ledger_before_they_are_checked(desk: Desk) -> None:
    desk.models, seen = ["openai:gpt-6-luna"], list[Any]()
    run = desk.module("runtime.run")

    def check(*_: Any) -> None:
        seen.append(desk.rows("outcome, output_tokens, ttft_ms IS NULL"))

    async def use(workspace: Any) -> None:
        stage = run.Stage(
            workspace.start(run.Request("?")), run.SubAgent("answer", str, checks=(check,))
        )
        token = run.current.set(stage)
        async with model_request_stream(workspace.chains["main"], QUESTION) as events:
            async for _ in events:
                pass
        run.current.reset(token)

    desk.play(use)
    assert seen == [[("aborted", 30, 0)]]
    assert desk.rows("outcome, output_tokens") == [("ok", 30)]
    assert whole(desk)


def test_what_was_paid_is_written_before_it_is_repaired(desk: Desk) -> None:
    desk.models, run = ["openai:gpt-6-luna"], desk.module("runtime.run")
    desk.server.script["gpt-6-luna"] = [Reply(answer={"n": "many"}), Reply(delay_s=5)]

    async def use(workspace: Any) -> None:
        agent = run.SubAgent("answer", dict[str, int])
        ask = workspace.start(run.Request("?")).ask(agent, "?", chain="main")
        task = asyncio.create_task(ask)
        await until(lambda: len(desk.hits()) == 2)
        assert desk.rows() == [("gpt-6-luna", "rejected", "malformed")]
        task.cancel()
        await asyncio.wait([task])

    desk.play(use)
    assert [row[1] for row in desk.rows()] == ["rejected", "aborted"]


def test_what_was_paid_is_written_before_the_next_model_is_asked(desk: Desk) -> None:
    desk.models = ["openai:empty", "anthropic:slow"]

    async def use(workspace: Any) -> None:
        task = asyncio.create_task(workspace.handle(desk.module("runtime.run").Request("?")))
        await until(lambda: "slow" in desk.hits())
        assert desk.rows() == [("empty", "rejected", "empty")]
        await task

    desk.play(use)


def test_a_cancelled_request_costs_what_it_is_estimated_at(desk: Desk) -> None:
    desk.models = ["openai:gpt-6-luna"]
    desk.server.script["gpt-6-luna"] = [Reply(fault="hang")]
    desk.cancelled(lambda: bool(desk.hits()))
    ((outcome, source, read, said, cost),) = desk.rows(
        "outcome, cost_source, input_tokens, output_tokens, cost_nano_usd"
    )
    assert (outcome, source, said) == ("aborted", "estimated", 0)
    assert 20 < read < 200 and cost > 0, "the stage's prompt and the question"
    assert whole(desk)


@pytest.mark.parametrize("fault", [None, "cut"])
def test_a_stream_that_ends_early_costs_what_had_arrived(desk: Desk, fault: Any) -> None:
    desk.models = ["openai:gpt-6-luna"]
    desk.server.script["gpt-6-luna"] = [Reply(fault=fault, after=10 if fault else None)]
    errors = desk.module("runtime.stream")

    async def use(workspace: Any) -> None:
        try:
            async with model_request_stream(workspace.chains["main"], QUESTION) as events:
                seen = 0
                async for _ in events:
                    seen += 1
                    if seen > 5 and not fault:
                        break
        except errors.StreamCut:
            assert fault

    desk.play(use)
    ((outcome, source, read, said, cost),) = desk.rows(
        "outcome, cost_source, input_tokens, output_tokens, cost_nano_usd"
    )
    assert (outcome, source) == ("failed" if fault else "aborted", "estimated")
    assert read > 0 and said > 0 and cost > 0


judged = st.tuples(
    st.sampled_from("abc"),
    st.integers(1, 3),
    st.sampled_from(["ok", "rejected", "aborted"]),
    st.one_of(st.none(), st.floats(0, 1)),
    st.integers(0, 10**6),
)


@given(st.lists(judged, max_size=12, unique_by=lambda one: one[:2]), st.booleans(), st.booleans())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_rollup_follows_what_became_of_rows(
    store: Any,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    at_once: bool,
    aside: bool,
) -> None:
    """Written as aborted, then judged: in one commit or two, in the ledger or in the one beside it."""
    path = tmp_path_factory.mktemp("judged") / "l.sqlite3"
    fields = [
        {"call_id": call, "attempt": attempt, "latency_ms": latency}
        for call, attempt, _, _, latency in rows
    ]
    first = [ledger_package.row(store, **one, outcome="aborted", ts_us=5) for one in fields]
    ended = [
        ledger_package.row(store, **one, outcome=outcome, quality=quality, ts_us=5)
        for one, (_, _, outcome, quality, _) in zip(fields, rows, strict=True)
    ]
    judged = [row for row in ended if row.outcome != "aborted"]

    async def play() -> None:
        ledger = store.Ledger(path)
        writes = [ledger.write([row]) for row in first]
        if not at_once:
            await asyncio.gather(*writes)
            writes = []
        if aside:  # as releases up to v0.7 did it
            with closing(store.connect(store.spill_of(path))) as beside:
                beside.write((), (), judged)
        else:
            writes += [ledger.write((), (), [row]) for row in judged]
        await asyncio.gather(*writes)
        ledger.close()

    asyncio.run(play())
    write(store, path)
    found = {(row.call_id, row.attempt): row.outcome for row in read_rows(store, path)}
    assert found == {(row.call_id, row.attempt): row.outcome for row in ended}
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert keys(store, store.spill_of(path)) == [] if store.spill_of(path).exists() else True


# Processes that are killed.

HEAD = """
import asyncio, os, pathlib, signal
from every_provider.runtime.run import Request, SubAgent
from every_provider.workspace import Workspace
signal.signal(signal.SIGINT, signal.default_int_handler)  # where who started us ignores it
"""


def kill_once(desk: Desk, program: str, *, when: Callable[[], bool], by: signal.Signals) -> int:
    """Run a program in a desk's folder, and kill it once something is so: its return code."""
    desk.write()
    (desk.root / "program.py").write_text(HEAD + textwrap.dedent(program))
    package = importlib.import_module(f"{desk.package}.workspace").__file__
    environment = {**os.environ, "PYTHONPATH": str(Path(package or "").parents[1])}
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=desk.root, env=environment, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 120  # imports alone take half a minute on a busy machine
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(by)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    print(err.decode())
    return process.returncode


CHECK = """
    def check(*_):
        pathlib.Path("checking").write_text("")
        signal.pause()

    async def main():
        async with Workspace.open() as workspace:
            agent = SubAgent("answer", str, checks=(check,))
            await workspace.start(Request("?")).ask(agent, "What is it?", chain="main")

    asyncio.run(main())
"""


@pytest.mark.slow
def test_a_process_killed_while_it_checks_leaves_a_true_row(desk: Desk) -> None:
    desk.models = ["openai:gpt-6-luna"]
    checking = (desk.root / "checking").exists
    kill_once(desk, CHECK, when=checking, by=signal.SIGKILL)
    rows = desk.rows("outcome, input_tokens, cost_source, cost_nano_usd > 0")
    assert rows == [("aborted", 120, "list", 1)]
    assert whole(desk)


WAIT = """
    async def main():
        async with Workspace.open() as workspace:
            await workspace.handle(Request("How many vans?", wait_for_human=True))

    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_a_person_has_paid_attempts_in_the_ledger(
    desk: Desk, by: signal.Signals
) -> None:
    desk.models, desk.rules = ["openai:empty"], {"on_exhausted": "human", "deadline_s": 60}
    desk.server.script["empty"] = [Reply(text="")]

    def waiting() -> bool:
        inbox = desk.root / "data" / "escalations.sqlite3"
        if not inbox.exists():
            return False
        with closing(sqlite3.connect(inbox)) as database:
            try:
                return database.execute("SELECT COUNT(*) FROM tickets").fetchone() == (1,)
            except sqlite3.OperationalError:
                return False

    kill_once(desk, WAIT, when=waiting, by=by)
    assert desk.rows("request_model, outcome, error_type, input_tokens") == [
        ("empty", "rejected", "empty", 120)
    ]
    with closing(sqlite3.connect(desk.root / "data" / "escalations.sqlite3")) as database:
        ((details,),) = database.execute("SELECT details FROM tickets").fetchall()
    assert json.loads(details)["attempts"][0]["outcome"] == "rejected"


IN_FLIGHT = """
    async def main():
        async with Workspace.open() as workspace:
            tasks = [asyncio.create_task(workspace.handle(Request("?"))) for _ in range(3)]
            await asyncio.gather(*tasks)

    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_ends_a_program_records_what_is_in_flight(
    desk: Desk, by: signal.Signals
) -> None:
    desk.models = ["openai:gpt-6-luna"]
    desk.server.script["gpt-6-luna"] = [Reply(fault="hang")]
    code = kill_once(desk, IN_FLIGHT, when=lambda: len(desk.hits()) == 3, by=by)
    assert desk.rows("outcome, cost_source") == [("aborted", "estimated")] * 3
    assert code == -by


def test_a_program_with_a_way_of_its_own_to_end_keeps_it(desk: Desk) -> None:
    desk.models, came = ["openai:ok"], list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))

    async def use(workspace: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await workspace.handle(desk.module("runtime.run").Request("?"))

    try:
        desk.play(use)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (came, desk.rows()) == ([signal.SIGTERM], [("ok", "ok", None)])
