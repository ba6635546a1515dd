"""A call that is cancelled, or whose workspace or loop goes away: no trace but its row."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest

from tests import ledger_package
from tests.fleets import FORMATS, Desk, desk, loopback, until
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
# An unawaited coroutine or an unclosed socket is an error here, as in all of these tests.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def when_asked(desk: Desk, model: str, times: int = 1) -> Any:
    return lambda: desk.hits().count(model) >= times


def when_answered(desk: Desk, model: str) -> Any:
    """Return whether the answer has had half a second to arrive, which the server cannot see."""
    was_asked, moments = when_asked(desk, model), list[float]()

    def waits() -> bool:
        if was_asked():
            moments.append(time.monotonic())
        return bool(moments) and moments[-1] - moments[0] > 0.5

    return waits


@pytest.mark.parametrize("provider", FORMATS)
@pytest.mark.parametrize("fault", ["hang", "hang-body"])
def test_a_request_under_way_is_booked_as_aborted(desk: Desk, provider: str, fault: str) -> None:
    desk.models = [f"{provider}:{fault}", "openai:ok"]
    desk.cancelled(when_asked(desk, fault))
    assert desk.rows("request_model, outcome, error_type, attempt") == [(fault, "aborted", None, 1)]
    assert desk.hits() == [fault], "nobody else is asked for a call that nobody waits for"


@pytest.mark.parametrize("provider", FORMATS)
def test_a_stream_that_nobody_reads_on_is_booked_as_aborted(desk: Desk, provider: str) -> None:
    desk.models = [f"{provider}:hang-stream", "openai:ok"]

    async def use(workspace: Any) -> None:
        heard = asyncio.Event()

        async def read() -> None:
            question = [ModelRequest.user_text_prompt("What is it?")]
            async with model_request_stream(workspace.chains["main"], question) as events:
                async for _ in events:
                    heard.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(heard.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    desk.play(use)
    assert desk.rows() == [("hang-stream", "aborted", None)]


def test_a_stream_left_early_is_booked_as_aborted(desk: Desk) -> None:
    desk.models = ["openai:slow-bytes"]

    async def use(workspace: Any) -> None:
        question = [ModelRequest.user_text_prompt("What is it?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                break

    desk.play(use)
    assert desk.rows() == [("slow-bytes", "aborted", None)]


def test_an_agent_is_cancelled_in_its_second_request(desk: Desk) -> None:
    desk.models = ["anthropic:worker"]
    desk.server.script["worker"] = [Reply(tool=("look", {})), Reply(fault="hang")]

    def look() -> str:
        """Look around."""
        return "nothing"

    async def use(workspace: Any) -> None:
        agent = Agent(workspace.chains["main"], tools=[look])
        task = asyncio.create_task(agent.run("What is there?"))
        await until(when_asked(desk, "worker", 2))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    desk.play(use)
    assert desk.rows("outcome, attempt") == [("ok", 1), ("aborted", 1)]


def test_a_call_that_waits_for_its_turn_gives_it_up(desk: Desk) -> None:
    desk.models, desk.more = ["openai:busy"], '[limits]\n"openai@openai" = 1\n'
    desk.server.script["busy"] = [Reply(fault="hang"), Reply()]
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> str:
        first = asyncio.create_task(workspace.handle(request("1")))
        await until(when_asked(desk, "busy"))
        second = asyncio.create_task(workspace.handle(request("2")))
        await asyncio.sleep(0.1)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return (await workspace.handle(request("3"))).output

    assert desk.play(use) == TEXT, "its place is free again"
    assert desk.rows("request_model, outcome") == [("busy", "aborted")] * 2 + [("busy", "ok")]
    assert desk.hits() == ["busy", "busy"]


def test_a_call_that_waits_for_a_retry_keeps_what_it_has(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:status-503"], {"backoff_s": 20}
    desk.cancelled(when_answered(desk, "status-503"))
    tried = [row for row in desk.rows() if row[1] != "aborted"]
    assert tried == [("status-503", "failed", "overloaded")]
    assert desk.hits() == ["status-503"]


def test_a_call_that_waits_out_a_rate_limit_keeps_what_it_has(desk: Desk) -> None:
    desk.models = ["openai:retry-after"]
    desk.cancelled(when_answered(desk, "retry-after"))
    assert desk.rows()[0] == ("retry-after", "failed", "rate_limited")
    assert desk.hits() == ["retry-after"]


@pytest.mark.slow
def test_a_call_that_waits_for_the_ledger_is_in_it_all_the_same(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        await workspace.handle(request("1"))  # makes the file
        with closing(sqlite3.connect(desk.root / "data" / "ledger.sqlite3")) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(workspace.handle(request("2")))
            await until(when_asked(desk, "ok", 2))
            await asyncio.sleep(0.3)
            assert not task.done(), "an answer is given once its row is on disk"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            other.rollback()

    desk.play(use)
    assert [row[1] for row in desk.rows()] == ["ok", "ok"]
    sums = "SELECT SUM(attempts), SUM(ok), SUM(input_tokens) FROM rollup"
    with closing(sqlite3.connect(desk.root / "data" / "ledger.sqlite3")) as database:
        assert database.execute(sums).fetchall() == [(2, 2, 240)]


def test_a_call_whose_check_asks_a_model_books_both(desk: Desk) -> None:
    """What was said before the judge was asked is paid for."""
    desk.models, desk.checks = ["openai:gpt-6-luna"], ["judge:0.5"]
    desk.more = (
        '[chains.judges]\nmodels = ["anthropic:hang@anthropic"]\n'
        '[stages.judge]\nchain = "judges"\ntask_type = "judging"\n'
    )
    desk.cancelled(when_asked(desk, "hang"))
    known = "CASE WHEN stage = 'judge' THEN input_tokens > 100 ELSE input_tokens END"
    rows = sorted(desk.rows(f"stage, request_model, outcome, {known}, cost_nano_usd > 0"))
    assert rows == [
        ("answer", "gpt-6-luna", "aborted", 120, 1),
        ("judge", "hang", "aborted", 1, None),  # an estimate; it has no price
    ]
    assert len({row[0] for row in desk.rows("run_id")}) == 1


def test_a_call_whose_second_opinion_is_pending_books_both(desk: Desk) -> None:
    desk.models, desk.checks = ["openai:gpt-6-luna"], ["agreement:second"]
    desk.more = '[chains.second]\nmodels = ["anthropic:hang@anthropic"]\n'
    desk.cancelled(when_asked(desk, "hang"))
    rows = sorted(desk.rows("request_model, outcome, input_tokens"))
    assert [row[:2] for row in rows] == [("gpt-6-luna", "aborted"), ("hang", "aborted")]
    assert rows[0][2] == 120 and rows[1][2] > 0


def test_a_deadline_of_the_callers_own_is_a_cancellation(desk: Desk) -> None:
    desk.models = ["openai:hang"]
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        async def wait() -> None:
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await workspace.handle(request("?"))

        limits = list[asyncio.Timeout]()
        task = asyncio.create_task(wait())
        await until(when_asked(desk, "hang"))
        limits[0].reschedule(asyncio.get_running_loop().time())
        with pytest.raises(TimeoutError):
            await task

    desk.play(use)
    assert desk.rows() == [("hang", "aborted", None)]


# anyio leaves a socket to the garbage collector when it is cancelled in the moment it has connected.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_many_calls_cancelled_at_random_moments_are_all_booked(desk: Desk) -> None:
    """Whatever a call was doing, the server has seen no request that the ledger does not have."""
    desk.models = ["openai:paced", "anthropic:status-503", "mistral:ok"]
    desk.server.script["paced"] = [Reply(pace_s=0.01), Reply(status=503), Reply(text="")] * 40
    desk.more = '[limits]\n"openai@openai" = 7\n'
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> int:
        await workspace.handle(request("warm up"))
        tasks = [asyncio.create_task(workspace.handle(request("?"))) for _ in range(60)]
        for at, task in enumerate(tasks):
            await asyncio.sleep(0.002 * (at % 7))
            task.cancel()
        await asyncio.wait(tasks)
        return sum(task.cancelled() for task in tasks)

    assert desk.play(use) > 10, "and not all of them had ended before"
    gc.collect()
    rows = desk.rows("call_id, attempt, outcome")
    by_call: dict[str, list[int]] = {}
    for call, attempt, _ in rows:
        by_call.setdefault(call, []).append(attempt)
    assert all(attempts == list(range(1, len(attempts) + 1)) for attempts in by_call.values())
    made = [row for row in rows if row[2] not in ("skipped", "aborted")]
    assert len(made) <= len(desk.hits()) <= len([row for row in rows if row[2] != "skipped"])


def test_a_workspace_closed_with_calls_in_flight_books_them(desk: Desk) -> None:
    """No call hangs on, none is lost to the ledger, and nothing is left behind."""
    desk.models = ["openai:hang", "anthropic:ok"]
    desk.write()
    workspace, request = desk.module("workspace").Workspace, desk.module("runtime.run").Request

    async def use() -> list[Any]:
        async with workspace.open(desk.root) as opened:
            tasks = [asyncio.create_task(opened.handle(request("?"))) for _ in range(3)]
            await until(when_asked(desk, "hang", 3))
        async with asyncio.timeout(10):
            return await asyncio.gather(*tasks, return_exceptions=True)

    ended = asyncio.run(use())
    error = desk.module("runtime.errors").FleetError
    assert all(isinstance(one, asyncio.CancelledError | error) for one in ended), ended
    rows = [row[:2] for row in desk.rows() if row[0] == "hang"]
    assert rows == [("hang", "aborted")] * 3


def test_a_closed_workspace_says_so(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    kept: list[Any] = []
    request = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        kept.append(workspace)
        await workspace.handle(request("1"))

    async def again() -> None:
        await kept[0].handle(request("2"))

    desk.play(use)
    with pytest.raises(desk.module("runtime.errors").FleetError, match="closed"):
        asyncio.run(again())
    assert len(desk.rows()) == len(desk.hits()), "nothing is asked that cannot be booked"


def test_a_workspace_of_before_a_fork_says_so(desk: Desk) -> None:
    """Its thread that writes is in the parent alone."""
    ledger = ledger_package.module(desk.package, "store").Ledger(desk.root / "l.sqlite3")
    ledger._pid -= 1  # as it is in a child, where os.fork leaves no thread but its own
    with pytest.raises(desk.module("runtime.errors").LedgerError, match="one in each process"):
        asyncio.run(ledger.ready())
    ledger._pid += 1
    ledger.close()


def test_a_loop_after_a_loop(desk: Desk) -> None:
    desk.models = ["openai:ok", "anthropic:ok"]
    for _ in range(2):
        assert desk.ask().output == TEXT
    assert [row[1] for row in desk.rows()] == ["ok", "ok"]


def test_a_loop_in_every_thread(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    desk.write()
    workspace, request = desk.module("workspace").Workspace, desk.module("runtime.run").Request
    answers: list[str] = []

    async def use() -> None:
        async with workspace.open(desk.root) as opened:
            for _ in range(5):
                answers.append((await opened.handle(request("?"))).output)

    threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [TEXT] * 15
    assert len(desk.rows()) == 15


def test_two_workspaces_at_once_do_not_know_each_other(desk: Desk, tmp_path: Path) -> None:
    """Each has its own ledger, circuits and clients: closing one leaves the other alone."""
    other = Desk(desk.package, desk.server, tmp_path / "other", models=["openai:ok"])
    other.root.mkdir()
    other.write()
    desk.models = ["openai:ok"]
    workspace, request = desk.module("workspace").Workspace, desk.module("runtime.run").Request

    async def use(first: Any) -> None:
        await first.handle(request("1"))
        async with workspace.open(other.root) as second:
            await asyncio.gather(first.handle(request("2")), second.handle(request("a")))
        await first.handle(request("3"))

    desk.play(use)
    assert (len(desk.rows()), len(other.rows())) == (3, 1)


# At exit: a program of its own, in which every warning is an error.

HEAD = """
import asyncio, logging, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
logging.getLogger("asyncio").addFilter(lambda record: "Executing" not in record.msg)  # imports
from every_provider.runtime.run import Request
from every_provider.workspace import Workspace
import pydantic_ai.models.anthropic, pydantic_ai.models.openai
"""
PROGRAMS = {
    "in order": """
        async def main():
            async with Workspace.open() as workspace:
                print((await workspace.handle(Request("?"))).output)
        asyncio.run(main())
    """,
    "twice": """
        async def main():
            async with Workspace.open() as workspace:
                print((await workspace.handle(Request("?"))).output)
        asyncio.run(main())
        asyncio.run(main())
    """,
    "with calls in flight": """
        async def main():
            async with Workspace.open() as workspace:
                await workspace.handle(Request("?"))
                for _ in range(3):
                    asyncio.create_task(workspace.handle(Request("?")))
                await asyncio.sleep(0.1)
            print("left")
        asyncio.run(main())
    """,
    "a loop closed early": """
        async def main():
            async with Workspace.open() as workspace:
                task = asyncio.create_task(workspace.handle(Request("?")))
                await asyncio.sleep(0.3)
                asyncio.get_running_loop().stop()
                await task
        try:
            asyncio.run(main())
        except RuntimeError as error:
            print(error)
    """,
    "interrupted": """
        import os
        async def main():
            async with Workspace.open() as workspace:
                asyncio.get_running_loop().call_later(
                    0.3, os.kill, os.getpid(), signal.SIGINT
                )
                while True:
                    await workspace.handle(Request("?"))
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("model", ["ok", "hang", "status-503"])
def test_a_program_ends_without_a_warning(desk: Desk, name: str, model: str) -> None:
    if name in ("in order", "twice") and model == "hang":
        pytest.skip("it would answer with the second model, as after a 503")
    desk.models = [f"openai:{model}", "anthropic:slow"]
    desk.rules = {"deadline_s": 60, "attempt_s": 5}
    desk.write()
    (desk.root / "program.py").write_text(HEAD + textwrap.dedent(PROGRAMS[name]))
    package = desk.module("workspace").__file__
    environment = {**os.environ, "PYTHONPATH": str(Path(package).parents[1])}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "program.py"],
        cwd=desk.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,  # imports alone take half a minute on a busy machine
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout
    made = [row for row in desk.rows() if row[1] != "skipped"]
    assert len(made) >= len(desk.hits()), "every request is in the ledger"
