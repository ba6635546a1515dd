"""What is nobody's fault but ours: a blocked loop, a full machine, a request that cannot be put."""

import asyncio
import errno
import gc
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.function import FunctionModel

from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
WIRES = ("openai", "anthropic")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect here what anyio leaves of a connection that is cancelled just as it is made.

    What was there before is left out: to look through all clients takes half a second a test.
    """
    gc.freeze()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.unfreeze()


async def block_loop(desk: Desk, call: Any, seconds: float) -> Any:
    """Return the result of a call during which the event loop stands still."""
    task = asyncio.ensure_future(call)
    await until(lambda: bool(desk.server.seen))
    time.sleep(seconds)
    return await task


@pytest.mark.slow
@pytest.mark.parametrize(
    "wire", [WIRES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in WIRES[1:])]
)
def test_a_blocked_loop_is_no_timeout_of_a_provider(desk: Desk, wire: str) -> None:
    desk.models, desk.rules = [f"{wire}:quiet"], {"attempt_s": 1.5, "deadline_s": 30}
    desk.server.script["quiet"] = [Reply(delay_s=0.2)]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> Any:
        calls = asyncio.gather(*(workspace.handle(run.Request("?")) for _ in range(8)))
        return await block_loop(desk, calls, 3)

    assert [answer.output for answer in desk.play(use)] == [TEXT] * 8
    assert desk.rows("outcome") == [("ok",)] * 8, "nothing is asked twice"


@pytest.mark.slow
def test_who_has_no_time_left_after_a_stall_is_told_so(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:hang"], {"deadline_s": 1}
    desk.more = "[circuits]\nfailures = 1\n"
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")

    async def use(workspace: Any) -> None:
        with pytest.raises(errors.ChainExhausted, match="stalled"):
            await block_loop(desk, workspace.handle(run.Request("?")), 2)
        (candidate,) = workspace.chains["main"].candidates
        assert candidate.unavailable is None, "no circuit opens"

    desk.play(use)


def test_a_slow_provider_is_still_a_timeout(desk: Desk) -> None:
    desk.models, desk.rules = ["openai:hang", "anthropic:ok"], {"attempt_s": 0.4}
    assert desk.ask().output == TEXT
    assert desk.rows()[0] == ("hang", "failed", "timeout")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
            "Too many open files: raise `ulimit -n`",
        ),
        (RuntimeError("can't start new thread"), "No further thread can be started: raise"),
        (MemoryError(), "Out of memory: the machine has no memory left"),
    ],
    ids=["files", "threads", "memory"],
)
def test_what_this_machine_has_run_out_of_is_not_the_providers_fault(
    desk: Desk,
    wire: str,
    cause: Exception,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk.models, desk.more = [f"{wire}:ok"], "[circuits]\nfailures = 1\n"

    async def refuse(*_: Any, **__: Any) -> Any:
        raise cause

    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")

    async def use(workspace: Any) -> Any:
        with monkeypatch.context() as full:
            full.setattr(anyio, "connect_tcp", refuse)
            with pytest.raises(errors.ChainExhausted, match="machine_exhausted"):
                await workspace.handle(run.Request("?"))
        return await workspace.handle(run.Request("?"))

    assert desk.play(use).output == TEXT, "no circuit opened"
    assert message in caplog.text


def test_a_name_that_cannot_be_looked_up_is_said_to_be_that(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    desk.models = ["openai:ok"]
    monkeypatch.setattr(anyio, "connect_tcp", refuse)
    with pytest.raises(Exception, match="cannot be looked up"):
        desk.ask()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOENT, "is missing: write it"),
        (errno.EMFILE, r"\(Too many open files\): raise `ulimit -n`"),
        (errno.EACCES, r"\(Permission denied\): give the program's user"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_prompt_that_cannot_be_read_says_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fails(*_: Any, **__: Any) -> str:
        raise OSError(number, os.strerror(number))

    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")
    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(errors.SettingsError, match=message):
        run.SubAgent("answer", str).prompt()


def test_a_settings_file_that_cannot_be_read_says_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    fleet, errors = desk.module("runtime.fleet"), desk.module("runtime.errors")
    with pytest.raises(errors.SettingsError, match="is missing, and FLEET_ROOT names that folder"):
        fleet.load(desk.root / "absent.toml")
    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(errors.SettingsError, match="Too many open files"):
        fleet.load(desk.root / "fleet.toml")


class Unable(FunctionModel):
    """A client library that cannot put the request to its model."""

    def __init__(self) -> None:
        super().__init__(lambda *_: (_ for _ in ()).throw(AssertionError))

    async def request(self, *_: Any, **__: Any) -> Any:
        raise UserError("This model takes no tools today.")

    def request_stream(self, *_: Any, **__: Any) -> Any:
        raise UserError("This model takes no tools today.")


def unable(desk: Desk, *names: str) -> Callable[[Any], Any]:
    def build(ref: Any) -> Any:
        if ref.model in names:
            return Unable()
        module = desk.module(f"runtime.providers.{ref.provider}")
        built = module.build(ref.model, desk.deployment(ref.provider))
        return desk.module("wiring").ADAPT(built)

    return build


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_one_model_cannot_do_is_asked_of_the_next(
    desk: Desk, wire: str, streamed: bool
) -> None:
    desk.models = ["openai:unable", f"{wire}:ok"]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> str:
        if not streamed:
            return (await workspace.handle(run.Request("?"))).output
        question = [ModelRequest.user_text_prompt("?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
            return events.get().text or ""

    assert desk.play(use, build=unable(desk, "unable")) == TEXT
    assert desk.rows() == [("unable", "skipped", "no_capability"), ("ok", "ok", None)]


def test_what_no_model_can_do_is_said_in_the_end(desk: Desk) -> None:
    desk.models = ["openai:unable", "anthropic:unable"]
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")
    with pytest.raises(errors.ChainExhausted, match="takes no tools today; see `costs`"):
        desk.play(lambda w: w.handle(run.Request("?")), build=unable(desk, "unable"))


def test_a_second_event_loop_is_refused_with_that_reason(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    desk.write()
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")
    workspace = desk.module("workspace").Workspace.open(desk.root)
    try:
        assert asyncio.run(workspace.handle(run.Request("?"))).output == TEXT
        with pytest.raises(errors.WrongLoop, match=r"event loop .*asyncio\.run"):
            asyncio.run(workspace.handle(run.Request("?")))
    finally:
        workspace.ledger.close()
    assert desk.rows("outcome") == [("ok",)]


def test_a_text_too_long_for_a_files_name_is_a_text(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.models = ["openai:ok"]
    desk.write()
    monkeypatch.setattr(sys, "argv", ["desk", "run", "answer", "What is it? " * 60])
    with pytest.raises(SystemExit) as done:
        desk.module("cli").main()
    assert done.value.code == 0
    assert TEXT in capsys.readouterr().out


def test_a_check_that_cannot_read_its_file_is_not_paid_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(_: str) -> Callable[..., None]:
        def check(*_: Any) -> None:
            raise FileNotFoundError("words.txt")

        return check

    monkeypatch.setitem(desk.module("wiring").CHECKS, "words", make)
    desk.models, desk.checks = ["openai:m", "anthropic:ok"], ["words"]
    with pytest.raises(FileNotFoundError, match="words"):
        desk.ask()
    assert desk.hits() == ["m"]
    assert desk.rows() == [("m", "aborted", None)]


@pytest.mark.parametrize(
    ("table", "meant"), [("circuit", "circuits"), ("ledgr", "ledger"), ("Budgets", "budgets")]
)
def test_a_misspelt_table_is_told_of(
    desk: Desk, caplog: pytest.LogCaptureFixture, table: str, meant: str
) -> None:
    desk.models, desk.more = ["openai:ok"], f"[{table}]\n[mine]\n"
    desk.ask()
    message = [record.getMessage() for record in caplog.records if "has no effect" in record.msg]
    assert message == [f"fleet.toml: [{table}] has no effect; did you mean [{meant}]?"]
