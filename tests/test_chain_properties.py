"""Whatever the models do: order, ledger, deadline, cap and data boundary hold."""

import asyncio
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import (
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelServerError,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from tests.examples import examples
from tests.fleets import Desk, desk, loopback

__all__ = ["desk", "loopback"]

DEADLINE_S = 0.3
TOKENS = 1000
KINDS = (
    "ok",
    "empty",
    "truncated",
    "refusal",
    "filtered",
    "503",
    "400",
    "401",
    "cut",
    "hang",
    "odd",
)
CATEGORIES = {"503": ModelServerError, "401": ModelAuthenticationError, "400": None}
ACCEPTED, RETRIED = {"ok"}, {"503", "cut", "hang"}
schedules = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "c")),  # provider
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=2),  # what it does, call by call
    ),
    min_size=1,
    max_size=4,
)


@dataclass
class Script(Model):
    """A provider's edge: does what its schedule says, and keeps count."""

    ref: Any
    does: list[str]
    asked: list[str]
    times: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def model_name(self) -> str:
        return self.ref.model

    @property
    def system(self) -> str:
        return self.ref.provider

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        del messages, model_settings, model_request_parameters
        self.asked.append(self.ref.model)
        kind = self.does.pop(0) if len(self.does) > 1 else self.does[0]
        if kind == "hang":
            await asyncio.sleep(60)
            self.asked.append("the end of a hang that no deadline ended")
        if kind == "cut":
            raise ModelConnectionError(self.ref.model, "reset")
        if kind == "odd":
            raise TypeError("a client's own bug")
        if kind.isdigit():
            raise ModelHTTPError.for_category(
                CATEGORIES[kind], status_code=int(kind), model_name="m"
            )
        texts = {"empty": " ", "refusal": "I'm sorry, but I can't help with that."}
        reasons = {"truncated": "length", "filtered": "content_filter"}
        return ModelResponse(
            parts=[TextPart(texts.get(kind, "A good answer."))],
            usage=RequestUsage(input_tokens=TOKENS, output_tokens=TOKENS),
            model_name=self.ref.model,
            finish_reason=reasons.get(kind, "stop"),  # pyright: ignore[reportArgumentType] - one of its literals
        )


counter = itertools.count()


def play(desk: Desk, tmp: Path, schedule: list[Any], more: str = "", **request: Any) -> Any:
    """One call on models that follow the schedule: the answer or error, and what was asked."""
    root = tmp / str(next(counter))
    root.mkdir()
    refs = [f"{provider}:m{at}" for at, (provider, _) in enumerate(schedule)]
    (root / "fleet.toml").write_text(
        f"[chains.main]\nmodels = {refs}\ndeadline_s = {DEADLINE_S}\nbackoff_s = 0.01\n"
        f'{more}\n[stages.answer]\nchain = "main"\ntask_type = "answering"\n'
        "[circuits]\nfailures = 99\n".replace("'", '"')
    )
    (root / "prices.toml").write_text(
        "".join(f'["{ref}"]\ninput_usd = 1\noutput_usd = 1\n' for ref in refs)
    )
    asked: list[str] = []
    does = {f"m{at}": list(kinds) for at, (_, kinds) in enumerate(schedule)}
    workspace, run = desk.module("workspace").Workspace, desk.module("runtime.run")
    errors = desk.module("runtime.errors")

    async def use() -> Any:
        def build(ref: Any) -> Script:
            return Script(ref, does[ref.model], asked)

        async with workspace.open(root, build=build) as opened:
            one = run.Run(run.Request("?", **request), opened.fleet, opened.chains)
            try:
                answer = await one.ask(run.SubAgent("answer", str), "?", chain="main")
            except errors.FleetError as error:
                answer = error
            return answer, one.attempts

    answer, attempts = asyncio.run(use())
    return SimpleNamespace(answer=answer, attempts=attempts, asked=asked)


def predict(schedule: list[Any]) -> tuple[list[str], bool]:
    """Return who is asked, in order, and whether somebody's answer is accepted."""
    does = {f"m{at}": list(kinds) for at, (_, kinds) in enumerate(schedule)}
    provider = {f"m{at}": name for at, (name, _) in enumerate(schedule)}
    waiting, again, asked = list(does), [], []
    for retrying in (False, True):
        while waiting:
            model = waiting.pop(0)
            asked.append(model)
            kind = does[model].pop(0) if len(does[model]) > 1 else does[model][0]
            if kind in ACCEPTED:
                return asked, True
            if kind in RETRIED and not retrying:
                again.append(model)
            if kind in {*RETRIED, "401", "filtered", "refusal"}:
                waiting.sort(key=lambda other: provider[other] == provider[model])
        waiting, again = again, []
    return asked, False


quick = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@quick
@given(schedule=schedules.filter(lambda s: all("hang" not in kinds for _, kinds in s)))
def test_the_first_acceptable_answer_in_policy_order(
    desk: Desk, tmp_path: Path, schedule: list[Any]
) -> None:
    came = play(desk, tmp_path, schedule)
    order, answered = predict(schedule)
    assert came.asked == order
    assert isinstance(came.answer, str) == answered


@settings(quick, max_examples=examples(25))
@given(schedule=schedules)
def test_the_ledger_has_what_the_server_saw_and_the_deadline_holds(
    desk: Desk, tmp_path: Path, schedule: list[Any]
) -> None:
    came = play(desk, tmp_path, schedule)
    booked = [row for row in came.attempts if row.outcome not in ("skipped",)]
    assert [row.request_model for row in booked] == came.asked
    assert [row.attempt for row in came.attempts] == list(range(1, len(came.attempts) + 1))


@quick
@given(
    schedule=schedules.filter(lambda s: all("hang" not in kinds for _, kinds in s)),
    cap=st.integers(1, 9),
)
def test_the_cap_is_passed_by_one_attempt_at_most(
    desk: Desk, tmp_path: Path, schedule: list[Any], cap: int
) -> None:
    usd = cap / 1000
    came = play(desk, tmp_path, schedule, f"max_cost_usd = {usd}")
    before = 0
    for row in came.attempts:
        if row.outcome not in ("skipped",):
            assert before < usd * 10**9
        before += row.cost_nano_usd or 0


@quick
@given(
    schedule=schedules.filter(lambda s: all("hang" not in kinds for _, kinds in s)),
    listed=st.dictionaries(
        st.sampled_from("abc"), st.sets(st.sampled_from(("public", "personal")))
    ),
    data_class=st.sampled_from(("public", "personal", "secret")),
)
def test_the_data_boundary_is_never_crossed(
    desk: Desk, tmp_path: Path, schedule: list[Any], listed: dict[str, set[str]], data_class: str
) -> None:
    table = "".join(f"{name} = {sorted(classes)}\n" for name, classes in listed.items())
    came = play(desk, tmp_path, schedule, f"[data]\n{table}", data_class=data_class)
    allowed = {name for name, classes in listed.items() if data_class in classes}
    provider = {f"m{at}": name for at, (name, _) in enumerate(schedule)}
    assert {provider[model] for model in came.asked} <= allowed
    skipped = {row.request_model for row in came.attempts if row.error_type == "data_class"}
    if not isinstance(came.answer, str):
        assert skipped == {model for model, name in provider.items() if name not in allowed}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_behaviour_is_reached(desk: Desk, tmp_path: Path, kind: str) -> None:
    came = play(desk, tmp_path, [("a", [kind]), ("b", ["ok"])])
    assert came.answer == "A good answer."
    assert came.asked == (["m0"] if kind == "ok" else ["m0", "m1"])
