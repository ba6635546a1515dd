"""Budgets hold for calls that are made at once: what an attempt may cost is reserved first."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply

__all__ = ["desk", "loopback"]

DOLLAR_EACH = Reply(input_tokens=1000, cached_tokens=0, output_tokens=1, reasoning_tokens=0)
PRICES = '["openai:dear@openai"]\ninput_usd = "1000"\noutput_usd = "0.001"\n'


@pytest.fixture
def dollars(desk: Desk) -> Desk:
    """Every call costs $1, and takes a moment."""
    (desk.root / "prices.toml").write_text(PRICES)
    desk.models, desk.rules = ["openai:dear"], {"deadline_s": 20}
    desk.server.script["dear"] = [
        Reply(**{**vars(DOLLAR_EACH), "delay_s": 0.05}),
    ]
    return desk


def ten_at_once(desk: Desk, one: Callable[[Any], Any]) -> list[Any]:
    async def use(workspace: Any) -> list[Any]:
        asks = one(workspace)
        return await asyncio.gather(*(asks() for _ in range(10)), return_exceptions=True)

    return desk.play(use)


def spent(desk: Desk) -> float:
    return sum(cost or 0 for (cost,) in desk.rows("cost_nano_usd")) / 10**9


@pytest.mark.parametrize(
    ("budget", "request_"),
    [
        ("", {"max_cost_usd": Decimal(2)}),
        ("run_usd = 2", {}),
        ("month_usd = 2", {}),
        ("task_usd = { answering = 2 }", {}),
    ],
    ids=["max_cost_usd", "run_usd", "month_usd", "task_usd"],
)
def test_ten_calls_at_once_keep_to_a_limit(
    dollars: Desk, budget: str, request_: dict[str, Any]
) -> None:
    dollars.more = f"[budgets]\n{budget}\n"
    run, agent = dollars.module("runtime.run"), dollars.module("workspace").ANSWER

    def one(workspace: Any) -> Any:
        started = workspace.start(run.Request("?", **request_))
        return lambda: started.ask(agent, "What is it?", chain="main")

    answers = ten_at_once(dollars, one)
    assert spent(dollars) == pytest.approx(2, rel=0.01)
    assert len(dollars.hits()) == 2, "and what is left is used"
    kind = "ChainExhausted" if request_ else "BudgetReached"
    assert {type(one).__name__ for one in answers if not isinstance(one, str)} == {kind}


def test_the_first_calls_of_a_process_know_what_the_month_has_cost(dollars: Desk) -> None:
    """The ledger is read once, and all of them wait for it."""
    dollars.more = "[budgets]\nmonth_usd = 1\n"
    request = dollars.module("runtime.run").Request
    dollars.play(lambda workspace: workspace.handle(request("?")))
    answers = ten_at_once(dollars, lambda w: lambda: w.handle(request("?")))
    assert {type(one).__name__ for one in answers} == {"BudgetReached"}
    assert len(dollars.hits()) == 1


def test_what_costs_nothing_does_not_wait_for_room(budgets: Any) -> None:
    async def play() -> Any:
        reservations = budgets.Reservations()
        limits = [budgets.Limit("month_usd", "month", Decimal(10) / 10**9, lambda: 0)]
        await reservations.take(limits, "dear", 100, is_most=False, wait_s=0)
        return await reservations.take(limits, "free", 0, is_most=False, wait_s=0)

    assert isinstance(asyncio.run(play()), budgets.Reservation)


def test_tool_calls_and_their_results_are_part_of_what_is_reserved(dollars: Desk) -> None:
    """A result that is data, not text, is sent as JSON, and paid for."""
    dollars.more = "[budgets]\nmonth_usd = 1\n"
    (dollars.root / "prices.toml").write_text(PRICES.replace('"1000"', '"100"'))
    question = [
        ModelRequest.user_text_prompt("?"),
        ModelResponse([ToolCallPart("look", {"where": "x" * 9000}, "1")]),
        ModelRequest([ToolReturnPart("look", [{"found": "y" * 9000}] * 3, "1")]),
    ]

    async def use(workspace: Any) -> None:
        with pytest.raises(dollars.module("runtime.errors").BudgetReached):
            await workspace.chains["main"].request(question, {"max_tokens": 1}, _parameters())

    dollars.play(use)
    assert dollars.hits() == []


@pytest.mark.parametrize("cap", ["NaN", "Infinity", "-1"])
def test_a_cap_that_is_not_a_sum_of_money_is_refused(dollars: Desk, cap: str) -> None:
    with pytest.raises(dollars.module("runtime.errors").SettingsError, match="max_cost_usd"):
        dollars.module("runtime.run").Request("?", max_cost_usd=Decimal(cap))


def test_a_negative_budget_of_a_task_is_refused(dollars: Desk) -> None:
    dollars.more = "[budgets]\ntask_usd = { answering = -1 }\n"
    with pytest.raises(dollars.module("runtime.errors").SettingsError, match="task_usd"):
        dollars.ask()


def test_streams_at_once_keep_to_a_limit(dollars: Desk) -> None:
    dollars.more = "[budgets]\nmonth_usd = 2\n"
    question = [ModelRequest.user_text_prompt("What is it?")]

    def one(workspace: Any) -> Any:
        async def read() -> str:
            async with model_request_stream(workspace.chains["main"], question) as events:
                async for _ in events:
                    pass
            return events.get().text or ""

        return read

    answers = ten_at_once(dollars, one)
    assert sum(isinstance(answer, str) for answer in answers) == 2
    assert spent(dollars) == pytest.approx(2, rel=0.01)


def test_a_stream_that_waits_for_itself_does_not_wait(dollars: Desk) -> None:
    """Who reads a stream and asks for more meanwhile holds the room that it would wait for."""
    dollars.more = "[budgets]\nmonth_usd = 1\n"
    run, agent = dollars.module("runtime.run"), dollars.module("workspace").ANSWER
    question = [ModelRequest.user_text_prompt("What is it?")]

    waited: list[bool] = []

    async def use(workspace: Any) -> None:
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                break
            released = workspace.chains["main"].shared.spending.reservations._released
            released.wait = lambda: waited.append(True) or asyncio.Event.wait(released)
            with pytest.raises(dollars.module("runtime.errors").BudgetReached):
                await workspace.start(run.Request("?")).ask(agent, "?", chain="main")

    dollars.play(use)
    assert not waited


def test_what_was_reserved_comes_back_from_failures_and_cancellations(dollars: Desk) -> None:
    dollars.more = "[budgets]\nmonth_usd = 1\n"
    dollars.server.script["dear"] = [Reply(status=400), Reply(fault="hang"), DOLLAR_EACH]
    request = dollars.module("runtime.run").Request

    async def use(workspace: Any) -> str:
        with pytest.raises(dollars.module("runtime.errors").ChainExhausted):
            await workspace.handle(request("1"))
        task = asyncio.create_task(workspace.handle(request("2")))
        while len(dollars.hits()) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert not workspace.chains["main"].shared.spending.reservations._held
        return (await workspace.handle(request("3"))).status

    assert dollars.play(use) == "answered"


def test_a_stated_length_is_a_promise(desk: Desk) -> None:
    """With max_tokens what does not fit into a budget is not sent at all."""
    (desk.root / "prices.toml").write_text(PRICES.replace("0.001", "1000"))
    desk.models, desk.more = ["openai:dear"], "[budgets]\nmonth_usd = 1\n"
    question = [ModelRequest.user_text_prompt("What is it?")]
    errors = desk.module("runtime.errors")

    async def use(workspace: Any) -> None:
        model = workspace.chains["main"]
        with pytest.raises(errors.BudgetReached):
            await model.request(question, {"max_tokens": 2000}, _parameters())
        await model.request(question, {"max_tokens": 500}, _parameters())

    desk.play(use)
    assert len(desk.hits()) == 1


def _parameters() -> Any:
    from pydantic_ai.models import ModelRequestParameters

    return ModelRequestParameters()


def test_calls_that_find_the_budget_used_up_meanwhile_go_on_as_at_limit_says(
    dollars: Desk,
) -> None:
    dollars.more = (
        '[chains.cheap]\nmodels = ["anthropic:ok@anthropic"]\n'
        '[budgets]\nmonth_usd = 1\nat_limit = "cheap_only"\n'
    )
    request = dollars.module("runtime.run").Request
    answers = ten_at_once(dollars, lambda w: lambda: w.handle(request("?")))
    assert [answer.status for answer in answers] == ["answered"] * 10
    assert sorted(dollars.hits()) == ["dear"] + ["ok"] * 9


def test_a_model_without_a_price_reserves_nothing(desk: Desk) -> None:
    desk.models, desk.more = ["openai:nobody-knows-it"], "[budgets]\nmonth_usd = 0.000001\n"
    request = desk.module("runtime.run").Request
    answers = ten_at_once(desk, lambda w: lambda: w.handle(request("?")))
    assert [answer.status for answer in answers] == ["answered"] * 10


@pytest.fixture(scope="module")
def budgets(every_provider: str) -> Any:
    import importlib

    return importlib.import_module(f"{every_provider}.runtime.budgets")


LIMITS = {"month": 100, "task a": 50, "task b": 70, "run 1": 40, "run 2": 30, "run 3": 60}


class CallsAtOnce(RuleBasedStateMachine):
    """Calls of some runs and tasks begin, end and are cancelled in any order.

    A call that states what it costs at most keeps all of its limits. One that does not may go over
    by what its answer is longer than assumed, or, made alone, by what it costs.
    """

    module: Any

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.reservations = self.module.Reservations()
        self.spent, self.longer, self.alone = Counter[str](), Counter[str](), Counter[str]()
        self.tasks: list[asyncio.Task[str]] = []
        self.under_way: list[asyncio.Future[None]] = []

    def teardown(self) -> None:
        while not all(task.done() for task in self.tasks):
            assert self.under_way, "a call waits although none is under way"
            self.under_way.pop(0).set_result(None)
            self.run_ready()
        assert not self.reservations._held
        self.loop.close()

    def run_ready(self) -> None:
        for _ in range(12):
            self.loop.run_until_complete(asyncio.sleep(0))

    async def call(self, names: list[str], model: str, most: int, cost: int, is_most: bool) -> str:
        limits = [
            self.module.Limit(
                name, name, Decimal(LIMITS[name]) / 10**9, lambda name=name: self.spent[name]
            )
            for name in names
        ]
        held = await self.reservations.take(limits, model, most, is_most=is_most, wait_s=3600)
        if isinstance(held, self.module.Limit):
            return "over"
        answered: asyncio.Future[None] = self.loop.create_future()
        self.under_way.append(answered)
        used = None
        try:
            await answered
            used = cost
            self.spent.update(dict.fromkeys(names, cost))
            if not is_most:
                self.longer.update(dict.fromkeys(names, max(0, cost - most)))
                self.alone |= Counter(dict.fromkeys(names, cost))
        finally:
            if answered in self.under_way:
                self.under_way.remove(answered)
            self.reservations.release(held, used)
        return "answered"

    @rule(
        run=st.integers(1, 3),
        task=st.sampled_from("ab"),
        model=st.sampled_from("xyz"),
        most=st.integers(0, 60),
        share=st.floats(0, 1),
        is_most=st.booleans(),
        longer=st.integers(0, 30),
    )
    def begin(
        self,
        run: int,
        task: str,
        model: str,
        most: int,
        share: float,
        is_most: bool,
        longer: int,
    ) -> None:
        names = ["month", f"task {task}", f"run {run}"]
        cost = int(most * share) if is_most else int(most * share) + longer
        self.tasks.append(self.loop.create_task(self.call(names, model, most, cost, is_most)))
        self.run_ready()

    @precondition(lambda self: self.under_way)
    @rule(which=st.randoms())
    def end(self, which: random.Random) -> None:
        self.under_way.pop(which.randrange(len(self.under_way))).set_result(None)
        self.run_ready()

    @precondition(lambda self: any(not task.done() for task in self.tasks))
    @rule(which=st.randoms())
    def cancel(self, which: random.Random) -> None:
        which.choice([task for task in self.tasks if not task.done()]).cancel()
        self.run_ready()

    @invariant()
    def no_limit_is_passed(self) -> None:
        for name, limit in LIMITS.items():
            assert self.spent[name] <= limit + self.longer[name] + self.alone[name], name


def test_reservations_hold_whatever_comes_at_once(budgets: Any) -> None:
    machine = type("Calls", (CallsAtOnce,), {"module": budgets})
    machine.TestCase.settings = settings(  # type: ignore[attr-defined] # made by hypothesis
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine.TestCase("runTest").runTest()  # type: ignore[attr-defined] # made by hypothesis


def slow_model(seconds: Callable[[], float], tokens: Callable[[], int]) -> Any:
    """Return a provider that takes its time, and more or fewer tokens."""

    async def answer(_: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(seconds())
        usage = RequestUsage(input_tokens=10, output_tokens=tokens())
        return ModelResponse([TextPart("Fine.")], usage=usage, finish_reason="stop")

    return lambda ref: FunctionModel(answer, model_name=ref.model)


def test_a_chain_with_stated_lengths_never_passes_its_limits(dollars: Desk, tmp_path: Path) -> None:
    """Forty calls with max_tokens of several runs, ended at random: not a nano-dollar too much."""
    (tmp_path / "prices.toml").write_text(
        '["openai:dear@openai"]\ninput_usd = "1"\noutput_usd = "1000"\n'
    )
    dollars.more = "[budgets]\nmonth_usd = 3\nrun_usd = 1\n"
    rng, run = random.Random(7), dollars.module("runtime.run")
    agent, question = run.SubAgent("answer", str), [ModelRequest.user_text_prompt("?")]
    moments: Iterator[float] = iter([rng.random() / 50 for _ in range(200)])
    lengths: Iterator[int] = iter([rng.randrange(20, 100) for _ in range(200)])

    async def use(workspace: Any) -> None:
        runs = [workspace.start(run.Request("?")) for _ in range(4)]

        async def one(at: int) -> None:
            token = run.current.set(run.Stage(runs[at % 4], agent))
            try:
                await workspace.chains["main"].request(question, {"max_tokens": 100}, _parameters())
            finally:
                run.current.reset(token)

        await asyncio.gather(*(one(at) for at in range(60)), return_exceptions=True)
        for each in runs:
            assert each.spent_nano() <= 10**9

    dollars.play(use, slow_model(lambda: next(moments), lambda: next(lengths)))
    assert 2 < spent(dollars) <= 3
