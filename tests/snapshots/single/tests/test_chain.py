"""A chain of scripted models: who is asked when, and what the ledger gets."""

import asyncio
import errno
import time
from pathlib import Path

import pytest
from chain_desk import GOOD, Desk, Reply, ask_once, http_error, open_desk, response
from pydantic_ai.exceptions import UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelResponse, ToolCallPart

from desk import wiring
from desk.runtime.request import Request
from desk.runtime.run import CheckResult
from desk.workspace import Workspace


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return open_desk(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (http_error(429), "failed", "rate_limited"),
        (http_error(503), "failed", "overloaded"),
        (http_error(400), "failed", "bad_request"),
        (http_error(404), "failed", "unknown_model"),
        (ConnectionError("reset"), "failed", "network"),
        (TimeoutError(), "failed", "timeout"),
        (UnexpectedModelBehavior("nonsense"), "failed", "malformed"),
        (UserError("takes no tools"), "skipped", "no_capability"),
        (OSError(errno.EMFILE, "Too many open files"), "failed", "machine_exhausted"),
        (RuntimeError("can't start new thread"), "failed", "machine_exhausted"),
        (MemoryError(), "failed", "machine_exhausted"),
        ("", "rejected", "empty"),
        ("I'm sorry, but I can't help with that.", "rejected", "refusal"),
        (response("Par", "length"), "rejected", "truncated"),
        (response("Par", None, "MAX_TOKENS"), "rejected", "truncated"),
        (response("Par", "content_filter"), "rejected", "content_filter"),
        (response("Par", None, "of_its_own"), "rejected", "broken_off"),
        (response("Par", "tool_call"), "rejected", "broken_off"),
        (ModelResponse(parts=[ToolCallPart("unknown", {})]), "rejected", "uninvited_tool"),
    ],
)
def test_a_failure_is_recorded_and_the_next_model_answers(
    desk: Desk, reply: Reply, outcome: str, reason: str
) -> None:
    desk.replies["a"] = [reply]
    assert desk.ask() == [GOOD]
    assert desk.rows() == [("a", outcome, reason), ("c", "ok", None)]


def test_an_end_that_only_the_provider_names_is_accepted(desk: Desk) -> None:
    desk.replies["a"] = [response(GOOD, None, "EOS")]
    assert desk.ask() == [GOOD]
    assert desk.asked == ["a"]


def test_another_provider_is_asked_before_a_retry(desk: Desk) -> None:
    desk.models = ["one:a", "one:b", "two:c"]
    desk.replies = {name: [http_error(503), GOOD] for name in "abc"}
    assert desk.ask() == [GOOD]
    assert desk.asked == ["a", "c", "b", "a"]


def test_a_retry_after_is_waited_for(desk: Desk) -> None:
    desk.models = ["one:a"]
    desk.replies["a"] = [http_error(429, **{"retry-after": "0.2"}), GOOD]
    started = time.monotonic()
    assert desk.ask() == [GOOD]
    assert time.monotonic() - started >= 0.2


def test_a_wait_beyond_the_deadline_is_not_begun(desk: Desk) -> None:
    desk.models, desk.rules = ["one:a"], "deadline_s = 0.3"
    desk.replies["a"] = [http_error(429, **{"retry-after": "60"})]
    assert desk.ask(times=2) == ["ChainExhausted"] * 2
    assert desk.rows()[1] == ("a", "skipped", "cooling_down")


def test_a_hang_leaves_time_for_the_next_model(desk: Desk) -> None:
    desk.rules = "attempt_s = 0.1"
    desk.replies["a"] = [30.0]
    assert desk.ask() == [GOOD]
    assert desk.rows() == [("a", "failed", "timeout"), ("c", "ok", None)]


def test_a_stall_of_this_program_is_not_a_timeout_of_a_model(desk: Desk) -> None:
    desk.models, desk.rules = ["one:a"], "attempt_s = 0.4\ndeadline_s = 10"
    desk.replies["a"] = [0.3]

    async def use(workspace: Workspace) -> str:
        asked = asyncio.ensure_future(ask_once(workspace, Request("?")))
        while not desk.asked:
            await asyncio.sleep(0.01)
        time.sleep(0.7)
        return await asked

    assert desk.use(use) == GOOD
    assert desk.asked == ["a"]


def test_an_open_circuit_skips_a_model(desk: Desk) -> None:
    desk.settings = "[circuits]\nfailures = 2\nopen_s = 60\n"
    desk.replies["a"] = [http_error(503)]
    assert desk.ask(times=3) == [GOOD] * 3
    rows = [row[1:] for row in desk.rows() if row[0] == "a"]
    assert rows == [("failed", "overloaded")] * 2 + [("skipped", "circuit_open")]


def test_where_all_circuits_are_open_one_is_tried(desk: Desk) -> None:
    desk.models, desk.settings = ["one:a"], "[circuits]\nfailures = 1\nopen_s = 60\n"
    desk.replies["a"] = [http_error(503), http_error(503), GOOD]
    assert desk.ask(times=3) == [GOOD] * 3
    assert desk.asked == ["a"] * 5


def test_calls_wait_for_the_probe_of_another(desk: Desk) -> None:
    desk.models, desk.settings = ["one:a"], "[circuits]\nfailures = 1\nopen_s = 60\n"
    desk.replies["a"] = [http_error(503), 0.1]

    async def use(workspace: Workspace) -> list[str]:
        return await asyncio.gather(*(ask_once(workspace, Request("?")) for _ in range(3)))

    assert desk.use(use) == [GOOD] * 3


def test_a_wrong_key_is_logged_once_and_not_probed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.models, desk.settings = ["one:a"], "[circuits]\nfailures = 1\nopen_s = 60\n"
    desk.replies["a"] = [http_error(401)]
    assert desk.ask(times=2) == ["ChainExhausted"] * 2
    assert desk.asked == ["a"]
    assert sum("authentication" in record.getMessage() for record in caplog.records) == 1


def test_a_filtered_answer_ends_a_chain_that_says_so(desk: Desk) -> None:
    desk.rules = 'on_content_filter = "stop"'
    desk.replies["a"] = [response("", "content_filter")]
    assert desk.ask() == ["ChainExhausted"]
    assert desk.asked == ["a"]


def test_of_several_checks_the_lowest_quality_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, quality in [("first", 0.9), ("second", 0.0), ("third", 0.5)]:
        result = CheckResult(None, quality, name)
        monkeypatch.setitem(wiring.CHECKS, name, lambda _, result=result: lambda *_: result)
    desk.settings = 'checks = ["first", "second", "third"]\n'
    assert desk.ask() == [GOOD]
    assert desk.rows("quality, quality_source") == [(0.0, "second")]
