"""Budgets per call, run, task type and month, and what happens when one is used up."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import recorded
from tests.fleets import Desk, desk, loopback
from tests.ledger_package import importable, row
from tests.loopback import Reply

__all__ = ["desk", "loopback"]

DEAR = Reply(output_tokens=100_000)
"""$0.04 of gpt-5-nano."""
CHEAP = '[chains.cheap]\nmodels = ["anthropic:ok@anthropic"]\n'


@pytest.fixture
def dear(desk: Desk) -> Desk:
    """Every call costs $0.04."""
    desk.models = ["openai:gpt-5-nano"]
    desk.server.script["gpt-5-nano"] = [DEAR]
    return desk


def ask_in_runs(
    desk: Desk, *runs: int, environments: Sequence[str] = ("production",)
) -> list[list[str]]:
    """Return what came of each call of some runs of so many calls, in one workspace."""
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")
    agent = desk.module("workspace").ANSWER

    async def calls(one: Any, count: int) -> AsyncIterator[str]:
        for _ in range(count):
            try:
                await one.ask(agent, "What is it?", chain="main")
                yield "answered"
            except errors.BudgetReached as error:
                yield str(error)

    async def use(workspace: Any) -> list[list[str]]:
        fleet, chains = workspace.fleet, workspace.chains
        return [
            [one async for one in calls(run.Run(run.Request("?"), fleet, chains, where), count)]
            for where, count in zip(itertools.cycle(environments), runs, strict=False)
        ]

    return desk.play(use)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "80 %" in one.getMessage()]


def test_a_run_is_refused_more_than_its_budget_and_the_next_begins_anew(dear: Desk) -> None:
    dear.more = "[budgets]\nrun_usd = 0.05\n"
    refused = "The budget run_usd is used up: raise it, or change at_limit"
    assert ask_in_runs(dear, 4, 1) == [["answered", "answered", refused, refused], ["answered"]]
    assert dear.rows()[2:4] == [("gpt-5-nano", "skipped", "over_budget")] * 2
    assert len(dear.hits()) == 3


def test_a_run_over_its_budget_goes_on_with_the_cheap_chain(dear: Desk) -> None:
    dear.more = CHEAP + '[budgets]\nrun_usd = 0.04\nat_limit = "cheap_only"\n'
    assert ask_in_runs(dear, 3, 1) == [["answered"] * 3, ["answered"]]
    assert dear.hits() == ["gpt-5-nano", "ok", "ok", "gpt-5-nano"]
    assert dear.rows()[1:3] == [("gpt-5-nano", "skipped", "over_budget"), ("ok", "ok", None)]


def test_a_call_is_capped_by_the_budget_of_all_calls(dear: Desk) -> None:
    dear.models = ["openai:gpt-5-nano", "anthropic:claude-haiku-4-5"]
    dear.server.script["gpt-5-nano"] = [Reply(text="", output_tokens=100_000)]
    dear.more = "[budgets]\ncall_usd = 0.03\n"
    with pytest.raises(dear.module("runtime.errors").ChainExhausted):
        ask_in_runs(dear, 1)
    assert dear.rows()[1] == ("claude-haiku-4-5", "skipped", "over_budget")
    dear.rules = {"max_cost_usd": 0.05}  # the lower one counts
    with pytest.raises(dear.module("runtime.errors").ChainExhausted):
        ask_in_runs(dear, 1)
    assert dear.hits() == ["gpt-5-nano"] * 2


def test_a_tasks_budget_warns_once_and_leaves_other_tasks_alone(
    dear: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    dear.more = "[budgets]\ntask_usd = { answering = 0.4, drafting = 0.01 }\n"
    (answers,) = ask_in_runs(dear, 12)
    assert answers[:10] == ["answered"] * 10
    assert answers[10:] == ["The budget answering is used up: raise it, or change at_limit"] * 2
    (warning,) = warnings(caplog)  # though two calls were made above 80 %
    assert "budget answering, $0.4," in warning


@pytest.mark.parametrize("budget", ["month_usd = 0.06", "task_usd = { answering = 0.06 }"])
def test_recorded_runs_spend_nothing(
    dear: Desk, budget: str, caplog: pytest.LogCaptureFixture
) -> None:
    dear.more = f"[budgets]\n{budget}\n"
    both = ask_in_runs(dear, 1, 4, 1, environments=("production", "demo"))
    assert both == [["answered"], ["answered"] * 4, ["answered"]]
    ask_in_runs(dear, 2, environments=("demo",))
    assert len(dear.hits()) == 8
    assert len(warnings(caplog)) == 0
    refused, shown = ask_in_runs(dear, 1, 1, environments=("production", "demo"))
    assert refused != ["answered"] and shown == ["answered"]


def stage(run: Any, task: str) -> Any:
    """Return a run, and the task type of a stage that fleet.toml does not name."""
    one = run.Stage(agent=run.SubAgent(task, str))
    return one.run, one.task_type


def test_what_others_spend_is_noticed_while_this_process_runs(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    budgeting, fleet, run = (
        desk.module("runtime.budgets"),
        desk.module("runtime.fleet"),
        desk.module("runtime.run"),
    )
    others: dict[str, int] = {}
    budgets = fleet.Budgets(month_usd=Decimal(1), task_usd={"drafting": Decimal("0.1")})
    spending = budgeting.Spending(budgets, lambda: dict(others), every_s=0)

    def find_reached(task: str) -> str | None:
        return asyncio.run(spending.find_reached(*stage(run, task)))

    assert find_reached("drafting") is None
    others["drafting"] = 100_000_000
    assert (find_reached("drafting"), find_reached("answering")) == ("drafting", None)
    others["answering"] = 700_000_000
    with caplog.at_level(logging.WARNING):
        assert (find_reached("answering"), find_reached("answering")) == (None, None)
    assert len(warnings(caplog)) == 1
    others["answering"] = 900_000_000
    assert find_reached("answering") == "month_usd"


def test_a_task_may_be_called_like_the_months_budget(desk: Desk) -> None:
    budgeting, fleet, run = (desk.module(f"runtime.{name}") for name in ("budgets", "fleet", "run"))
    budgets = fleet.Budgets(month_usd=Decimal(1), task_usd={"month_usd": Decimal(9)})
    spending = budgeting.Spending(budgets, lambda: {"answering": 2 * 10**9})
    assert asyncio.run(spending.find_reached(*stage(run, "month_usd"))) == "month_usd"


def test_between_two_looks_at_the_ledger_it_counts_itself(desk: Desk) -> None:
    """Costs that are not committed yet are not forgotten when the ledger is read."""
    budgeting, fleet, run, store = (
        desk.module(f"runtime.{name}") for name in ("budgets", "fleet", "run", "ledger.attempt")
    )
    looks: list[Mapping[str, int]] = []

    def read() -> Mapping[str, int]:
        looks.append({})
        return {}

    spending = budgeting.Spending(fleet.Budgets(month_usd=Decimal("0.1")), read, every_s=3600)

    def attempt(cost: int | None) -> Any:
        return row(store, cost_nano_usd=cost)

    def find_reached() -> str | None:
        return asyncio.run(spending.find_reached(*stage(run, "answering")))

    assert find_reached() is None
    for cost in (60_000_000, None):
        spending.add(attempt(cost))
    assert find_reached() is None
    spending.add(attempt(40_000_000))
    assert (find_reached(), len(looks)) == ("month_usd", 1)


def test_a_ledger_that_cannot_be_read_stops_no_request(
    dear: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    budgeting, fleet, run, errors = (
        dear.module(f"runtime.{name}") for name in ("budgets", "fleet", "run", "errors")
    )

    def unreadable() -> Mapping[str, int]:
        raise errors.LedgerError("ledger.sqlite3 is not a database")

    spending = budgeting.Spending(fleet.Budgets(month_usd=Decimal(1)), unreadable)
    assert asyncio.run(spending.find_reached(*stage(run, "answering"))) is None
    assert "is not a database" in caplog.text


FLEET = """
[chains.main]
models = ["first:a"]
[stages.answer]
chain = "main"
task_type = "answering"
[budgets]
month_usd = 0.001
at_limit = "human"
"""


@pytest.fixture(scope="module")
def with_people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("budgets") / "w"
    with importable(folder, "budget_desk", extras=["escalation", "prices"]) as name:
        yield name


@pytest.fixture
def people(with_people: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recorded.Desk:
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    (tmp_path / "prices.toml").write_text('["first:a"]\ninput_usd = "1"\noutput_usd = "1"\n')
    return recorded.Desk(with_people, tmp_path, FLEET)


def ask_for_vans(people: recorded.Desk, *ids: str) -> list[Any]:
    run = people.module("runtime.run")
    reply = {"text": "Nine vans.", "input_tokens": 1000, "output_tokens": 500}

    async def play() -> list[Any]:
        async with people.open({"answer": [reply]}) as workspace:
            return [await workspace.handle(run.Request("How many vans?", id=id_)) for id_ in ids]

    return asyncio.run(play())


def test_at_its_limit_a_person_is_asked_and_no_model(people: recorded.Desk) -> None:
    first, second = ask_for_vans(people, "order-1", "order-2")
    assert (first.status, first.output) == ("answered", "Nine vans.")
    assert (second.status, second.output) == ("escalated", None)
    assert people.rows("request_model, outcome, error_type, cost_nano_usd") == [
        ("a", "ok", None, 1_500_000),
        ("a", "skipped", "over_budget", None),
        ("human", "escalated", None, None),
    ]


def test_what_a_person_answered_over_budget_is_kept(people: recorded.Desk) -> None:
    _, escalated = ask_for_vans(people, "order-1", "order-2")
    inbox = people.module("runtime.inbox").Tickets(people.root)
    (ticket,) = inbox.select("open")
    assert ticket.id == escalated.ticket
    inbox.resolve([ticket], "answered", "ada", "Twelve.")
    inbox.close()
    (again,) = ask_for_vans(people, "order-2")
    assert (again.status, again.output) == ("answered", "Twelve.")
    assert people.rows("outcome").count(("ok",)) == 1
