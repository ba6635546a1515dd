"""A chain of scripted models: who is asked when, what is accepted, and what the ledger gets."""

import asyncio
import errno
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flat_prices import set_prices
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from desk import wiring
from desk.runtime import chain
from desk.runtime.errors import (
    BudgetReached,
    ChainExhausted,
    SettingsError,
    WrongLoop,
)
from desk.runtime.fleet import ModelRef
from desk.runtime.request import Request
from desk.runtime.run import CheckResult
from desk.runtime.subagent import SubAgent
from desk.workspace import Workspace

GOOD = "Paris is the capital of France."
PRICES = {"one:a": (1000, 1000), "two:c": (1, 1)}
Reply = str | ModelResponse | Exception | float
"""A text, a response, an error, or seconds to hang before a good answer."""


def http_error(status: int, **headers: str) -> ModelHTTPError:
    return ModelHTTPError(status, "m", {"message": "It failed."}, headers=headers)


def response(text: str, reason: Any = None, raw: str | None = None) -> ModelResponse:
    return ModelResponse(
        parts=[TextPart(text)],
        usage=RequestUsage(input_tokens=100, output_tokens=10),
        finish_reason=reason,
        provider_details={"finish_reason": raw} if raw else None,
        provider_url="http://127.0.0.1:9",
    )


class Desk:
    """A workspace whose models, by name, give replies in order; the last one is repeated."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[str] = []
        self.models = ["one:a", "two:c"]
        self.rules = ""
        self.settings = ""
        self.profile: ModelProfile | None = None

    def build(self, ref: ModelRef) -> FunctionModel:
        async def reply(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            return await self._reply(ref.model)

        return FunctionModel(reply, model_name=ref.model, profile=self.profile)

    async def _reply(self, model: str) -> ModelResponse:
        self.asked.append(model)
        left = self.replies.get(model, [GOOD])
        next_ = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(next_, Exception):
            raise next_
        if isinstance(next_, float | int):
            await asyncio.sleep(next_)
            next_ = GOOD
        return response(next_, "stop") if isinstance(next_, str) else next_

    def use(self, use: Callable[[Workspace], Awaitable[Any]]) -> Any:
        """Open the workspace and use it."""
        models = ", ".join(f'"{model}"' for model in self.models)
        (self.root / "fleet.toml").write_text(
            f"[chains.main]\nmodels = [{models}]\nbackoff_s = 0.01\n{self.rules}\n"
            '[chains.cheap]\nmodels = ["two:c"]\nbackoff_s = 0.01\n'
            '[stages.answer]\nchain = "main"\ntask_type = "answering"\n' + self.settings
        )

        async def play() -> Any:
            async with Workspace.open(self.root, build=self.build) as workspace:
                return await use(workspace)

        return asyncio.run(play())

    def ask(self, times: int = 1, **request: Any) -> list[str]:
        """Return the answers, or the names of the errors, of as many requests."""

        async def ask(workspace: Workspace) -> list[str]:
            said: list[str] = []
            for _ in range(times):
                try:
                    said.append(await ask_once(workspace, Request("Where is it?", **request)))
                except (ChainExhausted, BudgetReached) as error:
                    said.append(type(error).__name__)
            return said

        return self.use(ask)

    def rows(self, columns: str = "request_model, outcome, error_type") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.root / "data" / "ledger.sqlite3")) as database:
            return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()


async def ask_once(workspace: Workspace, request: Request) -> str:
    return await workspace.start(request).ask(SubAgent("answer", str), request.text)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.delenv("FLEET_LEDGER_URL", raising=False)
    monkeypatch.setattr(chain, "PAUSES", (0.02, 0.05, 0.2))
    set_prices(monkeypatch, PRICES)
    return Desk(tmp_path)


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


def test_who_gets_no_slot_in_time_asks_the_next_model(desk: Desk) -> None:
    desk.rules, desk.settings = "deadline_s = 0.6", "[limits]\none = 1\n"
    desk.replies["a"] = [0.35]

    async def use(workspace: Workspace) -> None:
        await asyncio.gather(*(ask_once(workspace, Request("?")) for _ in range(2)))

    desk.use(use)
    assert ("a", "skipped", "busy") in desk.rows()


def test_a_prompt_that_does_not_fit_asks_only_larger_windows(desk: Desk) -> None:
    desk.models = ["one:a", "one:b", "two:c"]
    desk.replies["a"] = [http_error(413)]

    async def use(workspace: Workspace) -> str:
        candidates = workspace.chains["main"].candidates
        for candidate, window in zip(candidates, (900, 800, 9900), strict=True):
            candidate.window = window
        return await ask_once(workspace, Request("?"))

    assert desk.use(use) == GOOD
    assert desk.rows()[:2] == [
        ("a", "failed", "context_too_long"),
        ("b", "skipped", "context_too_long"),
    ]


def test_data_goes_only_where_it_may(desk: Desk) -> None:
    desk.settings = '[data]\none = ["public"]\ntwo = ["public", "personal"]\n'
    assert desk.ask(data_class="personal") == [GOOD]
    assert desk.rows() == [("a", "skipped", "data_class"), ("c", "ok", None)]


def test_a_model_without_eyes_is_not_shown_an_image(desk: Desk) -> None:
    desk.profile = ModelProfile(supports_image_input=False)
    image = UserPromptPart(["What is it?", ImageUrl("http://127.0.0.1:9/cat.png")])

    async def use(workspace: Workspace) -> None:
        await model_request(workspace.chains["main"], [ModelRequest(parts=[image])])

    with pytest.raises(ChainExhausted, match="no_capability"):
        desk.use(use)
    assert desk.asked == []


def test_a_filtered_answer_ends_a_chain_that_says_so(desk: Desk) -> None:
    desk.rules = 'on_content_filter = "stop"'
    desk.replies["a"] = [response("", "content_filter")]
    assert desk.ask() == ["ChainExhausted"]
    assert desk.asked == ["a"]


def test_a_request_keeps_to_its_own_cap(desk: Desk) -> None:
    assert desk.ask(max_cost_usd=Decimal("0.01")) == [GOOD]
    assert desk.rows() == [("a", "skipped", "over_budget"), ("c", "ok", None)]


@pytest.mark.parametrize(
    ("at_limit", "second"), [("refuse", "BudgetReached"), ("cheap_only", GOOD)]
)
def test_a_used_up_budget_refuses_or_asks_the_cheap_models(
    desk: Desk, at_limit: str, second: str
) -> None:
    desk.settings = f'[budgets]\nmonth_usd = 0.1\nat_limit = "{at_limit}"\n'
    desk.models = ["one:a"]
    assert desk.ask(times=2) == [GOOD, second]
    assert ("a", "skipped", "over_budget") in desk.rows()


def test_calls_at_once_reserve_what_they_may_cost(desk: Desk) -> None:
    desk.settings = "[budgets]\nmonth_usd = 0.1\n"
    desk.models = ["one:a"]
    desk.replies["a"] = [0.05]

    async def use(workspace: Workspace) -> list[Any]:
        calls = (ask_once(workspace, Request("?")) for _ in range(4))
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = desk.use(use)
    assert answers.count(GOOD) == 1
    assert desk.asked == ["a"]


def test_a_cancelled_request_is_recorded_with_what_it_may_have_cost(desk: Desk) -> None:
    desk.models = ["one:a"]
    desk.replies["a"] = [30.0]

    async def use(workspace: Workspace) -> None:
        asked = asyncio.ensure_future(ask_once(workspace, Request("?")))
        while not desk.asked:
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    desk.use(use)
    ((outcome, cost_source),) = desk.rows("outcome, cost_source")
    assert (outcome, cost_source) == ("aborted", "estimated")


def test_a_workspace_that_closes_records_what_is_under_way(desk: Desk) -> None:
    desk.models = ["one:a"]
    desk.replies["a"] = [30.0]

    async def use(workspace: Workspace) -> Any:
        asked = asyncio.ensure_future(ask_once(workspace, Request("?")))
        while not desk.asked:
            await asyncio.sleep(0.01)
        return asked

    desk.use(use)
    assert desk.rows() == [("a", "aborted", None)]


def test_an_answer_can_be_read_as_a_stream(desk: Desk) -> None:
    async def use(workspace: Workspace) -> str:
        workspace.chains["main"].shared.stream = None  # where it is, it has tests of its own
        prompt = [ModelRequest.user_text_prompt("Where is it?")]
        async with model_request_stream(workspace.chains["main"], prompt) as events:
            async for _ in events:
                pass
            return events.get().text or ""

    assert desk.use(use) == GOOD
    assert desk.rows() == [("a", "ok", None)]


def test_a_second_event_loop_is_refused(desk: Desk) -> None:
    async def use(workspace: Workspace) -> None:
        await ask_once(workspace, Request("?"))
        other = asyncio.to_thread(asyncio.run, ask_once(workspace, Request("?")))
        with pytest.raises(WrongLoop, match="event loop"):
            await other

    desk.use(use)


def test_a_model_that_cannot_be_set_up_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: ModelRef) -> FunctionModel:
        raise ImportError("No module named 'one'")

    monkeypatch.setattr(desk, "build", build)
    with pytest.raises(SettingsError, match=r"one:a cannot be set up .* run `uv sync`"):
        desk.ask()


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        (CheckResult("too_dull"), [("rejected", "too_dull", None), ("ok", None, None)]),
        ("too_dull", [("rejected", "too_dull", None), ("ok", None, None)]),
        (CheckResult(None, 0.5, "check"), [("ok", None, 0.5)]),
        (None, [("ok", None, None)]),
    ],
)
def test_a_check_rejects_an_answer_or_says_how_good_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, result: Any, rows: list[Any]
) -> None:
    results = [result, None]
    monkeypatch.setitem(wiring.CHECKS, "own", lambda _: lambda *_: results.pop(0))
    desk.settings = 'checks = ["own"]\n'
    assert desk.ask() == [GOOD]
    assert desk.rows("outcome, error_type, quality") == rows


def test_of_several_checks_the_lowest_quality_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, quality in [("first", 0.9), ("second", 0.0), ("third", 0.5)]:
        result = CheckResult(None, quality, name)
        monkeypatch.setitem(wiring.CHECKS, name, lambda _, result=result: lambda *_: result)
    desk.settings = 'checks = ["first", "second", "third"]\n'
    assert desk.ask() == [GOOD]
    assert desk.rows("quality, quality_source") == [(0.0, "second")]


def test_a_check_that_breaks_is_not_paid_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: Any) -> None:
        raise FileNotFoundError("words.txt")

    monkeypatch.setitem(wiring.CHECKS, "own", lambda _: check)
    desk.settings = 'checks = ["own"]\n'
    with pytest.raises(FileNotFoundError):
        desk.ask()
    assert desk.rows() == [("a", "aborted", None)]


def test_a_server_that_cut_the_prompt_is_rejected(desk: Desk) -> None:
    short = response(GOOD, "stop")
    short.usage = RequestUsage(input_tokens=600, output_tokens=10)
    desk.replies["a"] = [short]

    async def use(workspace: Workspace) -> str:
        return await ask_once(workspace, Request("word " * 4000))

    assert desk.use(use) == GOOD
    assert desk.rows()[0] == ("a", "rejected", "prompt_cut")
