"""Budgets, circuits, limits, the data boundary and capabilities of a chain."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from tests.fleets import Desk, desk, loopback, until
from tests.loopback import Reply

__all__ = ["desk", "loopback"]
PRICED = "openai:gpt-5-nano"


class Person(BaseModel):
    name: str
    age: int


def ask_many(desk: Desk, times: int, **request: Any) -> list[str]:
    """Ask the same again and again in one workspace; what came of each."""
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")

    async def use(workspace: Any) -> list[str]:
        answers: list[str] = []
        for _ in range(times):
            try:
                await workspace.handle(run.Request("What is it?", **request))
                answers.append("answered")
            except errors.FleetError as error:
                answers.append(type(error).__name__)
        return answers

    return desk.play(use)


def test_a_circuit_opens_after_failures_in_a_row_and_is_probed(desk: Desk) -> None:
    desk.models = ["openai:down", "anthropic:ok"]
    desk.server.script["down"] = [Reply(status=503)]
    desk.more = "[circuits]\nfailures = 2\nopen_s = 60\n"
    ask_many(desk, 5)
    first = [row for row in desk.rows() if row[0] == "down"]
    assert (
        first == [("down", "failed", "overloaded")] * 2 + [("down", "skipped", "circuit_open")] * 3
    )


@pytest.mark.slow
def test_a_probe_closes_the_circuit(desk: Desk) -> None:
    desk.models = ["openai:down", "anthropic:ok"]
    desk.server.script["down"] = [Reply(status=503), Reply()]
    desk.more = "[circuits]\nfailures = 1\nopen_s = 2\n"
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        for pause in (0, 0, 2.1, 0):
            await asyncio.sleep(pause)
            await workspace.handle(run.Request("What is it?"))

    desk.play(use)
    assert [row[1] for row in desk.rows() if row[0] == "down"] == ["failed", "skipped", "ok", "ok"]


@pytest.mark.parametrize(
    ("data_class", "asked"),
    [(None, "internal-ok"), ("public", "internal-ok"), ("personal", "eu-ok"), ("secret", None)],
)
def test_data_goes_only_where_it_may(desk: Desk, data_class: str | None, asked: str | None) -> None:
    desk.models = ["openai:internal-ok", "anthropic:eu-ok"]
    desk.more = (
        '[data]\n"openai@openai" = ["public"]\n"anthropic@anthropic" = ["public", "personal"]\n'
        '[data.regions]\npersonal = ["eu-central-1"]\n'
    )
    answers = ask_many(desk, 1, data_class=data_class)
    assert desk.hits() == ([asked] if asked else [])
    assert answers == ["answered" if asked else "ChainExhausted"]
    if data_class == "personal":
        assert desk.rows()[0] == ("internal-ok", "skipped", "data_class")


def test_a_region_binds_a_class(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    desk.more = '[data]\n"openai@openai" = ["personal"]\n[data.regions]\npersonal = ["us"]\n'
    assert ask_many(desk, 1, data_class="personal") == ["ChainExhausted"]
    assert desk.hits() == []


def test_a_call_stops_at_its_cap(desk: Desk) -> None:
    desk.models = [PRICED, "anthropic:claude-haiku-4-5"]
    desk.server.script["gpt-5-nano"] = [Reply(text="", output_tokens=100_000)]
    desk.rules = {"max_cost_usd": 0.01}
    assert ask_many(desk, 1) == ["ChainExhausted"]
    assert desk.rows()[1] == ("claude-haiku-4-5", "skipped", "over_budget")


def test_the_months_budget_refuses(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.models = [PRICED]
    desk.server.script["gpt-5-nano"] = [Reply(output_tokens=100_000)]  # 0.04 dollars
    desk.more = "[budgets]\nmonth_usd = 0.09\n"
    assert ask_many(desk, 5) == ["answered"] * 3 + ["BudgetReached"] * 2
    assert sum("80 %" in record.getMessage() for record in caplog.records) == 1
    assert desk.rows()[-1] == ("gpt-5-nano", "skipped", "over_budget")
    assert ask_many(desk, 1) == ["BudgetReached"], "another process reads it from the ledger"


def test_a_tasks_budget_and_the_cheap_chain(desk: Desk) -> None:
    desk.models = [PRICED]
    desk.server.script["gpt-5-nano"] = [Reply(output_tokens=100_000)]
    desk.more = (
        '[chains.cheap]\nmodels = ["anthropic:ok@anthropic"]\n'
        '[budgets]\nat_limit = "cheap_only"\ntask_usd = { answering = 0.01 }\n'
    )
    assert ask_many(desk, 2) == ["answered", "answered"]
    assert desk.hits() == ["gpt-5-nano", "ok"]


def test_the_cheap_chain_can_what_a_typed_answer_needs(desk: Desk) -> None:
    desk.models = [PRICED]
    desk.server.script["gpt-5-nano"] = [Reply(output_tokens=100_000)]
    desk.server.script["typed"] = [Reply(answer={"name": "Ada", "age": 36})]
    desk.more = (
        '[chains.cheap]\nmodels = ["anthropic:typed@anthropic"]\n'
        '[budgets]\nat_limit = "cheap_only"\ntask_usd = { answering = 0.01 }\n'
    )
    ask_many(desk, 1)
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> Any:
        one = run.Run(run.Request("?"), workspace.fleet, workspace.chains)
        return await one.ask(run.SubAgent("answer", Person), "Who?", chain="main")

    assert desk.play(use) == Person(name="Ada", age=36)
    assert desk.hits() == ["gpt-5-nano", "typed"]


def test_a_requests_own_limits(desk: Desk) -> None:
    desk.models = ["openai:hang"]
    errors, run = desk.module("runtime.errors"), desk.module("runtime.run")
    with pytest.raises(errors.ChainExhausted):
        desk.play(lambda workspace: workspace.handle(run.Request("?", deadline_s=0.3)))
    assert not desk.server.outlasted
    request = run.Request("?", max_cost_usd=Decimal("0.0000001"))
    with pytest.raises(errors.ChainExhausted):
        desk.models = [PRICED]
        desk.play(lambda workspace: workspace.handle(request))
    assert desk.rows()[-1][2] == "over_budget"


def test_a_prompt_that_does_not_fit_is_not_sent(desk: Desk) -> None:
    desk.models = ["openai:gpt-5-nano", "mistral:ok"]
    desk.ask("word " * 500_000)
    assert desk.rows()[0] == ("gpt-5-nano", "skipped", "context_too_long")
    assert desk.hits() == ["ok"]


def test_no_more_requests_at_once_than_the_limit(desk: Desk) -> None:
    desk.models = ["openai:slow"]
    desk.more = '[limits]\n"openai@openai" = 2\n'
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        await asyncio.gather(*(workspace.handle(run.Request("?")) for _ in range(6)))

    desk.play(use)
    assert desk.seconds >= 0.9, "three times two, 0.3 seconds each"


def test_a_typed_answer_is_repaired_by_its_own_model(desk: Desk) -> None:
    desk.models = ["openai:typed", "anthropic:ok"]
    desk.server.script["typed"] = [
        Reply(answer={"name": "Ada"}),
        Reply(answer={"name": "Ada", "age": 36}),
    ]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> Any:
        agent = run.SubAgent("answer", Person)
        one = run.Run(run.Request("?"), workspace.fleet, workspace.chains)
        return await one.ask(agent, "Who?", chain="main")

    assert desk.play(use) == Person(name="Ada", age=36)
    assert desk.rows("outcome, fallback_from") == [("rejected", None), ("ok", None)]


def test_content_filter_can_stop_the_chain(desk: Desk) -> None:
    desk.models = ["openai:content-filter", "anthropic:ok"]
    desk.rules = {"on_content_filter": "stop"}
    assert ask_many(desk, 1) == ["ChainExhausted"]
    assert desk.hits() == ["content-filter"]


def test_a_cancelled_call_is_booked_as_aborted(desk: Desk) -> None:
    desk.models = ["openai:hang"]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> None:
        task = asyncio.create_task(workspace.handle(run.Request("?")))
        await until(lambda: desk.hits() == ["hang"])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    desk.play(use)
    assert desk.rows() == [("hang", "aborted", None)]


def test_a_mistake_of_ours_is_told_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.models = ["openai:status-401", "anthropic:ok"]
    ask_many(desk, 3)
    assert sum("authentication" in record.getMessage() for record in caplog.records) == 1
    failures, queries = desk.module("runtime.failure_kinds"), desk.module("runtime.ledger.queries")
    found = queries.mistakes(desk.root / "data" / "ledger.sqlite3", failures.ALERTS, 0)
    assert found == [("openai", "status-401", "openai", "authentication", 3)]


def test_a_client_that_cannot_be_made_is_told_in_one_line(desk: Desk) -> None:
    desk.models = ["openai:ok"]
    desk.write()
    workspace, errors = desk.module("workspace").Workspace, desk.module("runtime.errors")

    def build(_: Any) -> Any:
        raise ImportError("No module named 'sdk'")

    async def ask() -> None:
        async with workspace.open(desk.root, build=build) as opened:
            await opened.handle(desk.module("runtime.run").Request("?"))

    with pytest.raises(
        errors.SettingsError, match=r"openai:ok@openai cannot be set up \(No module"
    ):
        asyncio.run(ask())
