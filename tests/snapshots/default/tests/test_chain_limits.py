"""Models that a chain does not ask: no slot, too long a prompt, data, eyes, budgets."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from chain_desk import GOOD, Desk, ask_once, http_error, open_desk
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ImageUrl, ModelRequest, UserPromptPart
from pydantic_ai.profiles import ModelProfile

from desk.runtime.errors import ChainExhausted
from desk.runtime.request import Request
from desk.workspace import Workspace


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return open_desk(tmp_path, monkeypatch)


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
