"""Nothing of a class reaches a place that does not list it, whoever asks: chain, judge or opinion."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, ModelServerError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from tests.examples import examples
from tests.fleets import Desk, desk, loopback
from tests.loopback import COMMANDS, Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CHAINS = ("main", "judges", "second")
CLASSES = ("public", "personal", "secret")
REGIONS = {"eu": "eu-central-1", "us": "us-east-1", "nowhere": None}
PLACES = [f"{name}{at}" for name in ("alpha", "beta") for at in ("", "@eu", "@us", "@nowhere")]
KINDS = ("ok", "ok", "503", "cut", "empty", "filtered", "400")
counter = itertools.count()


@dataclass
class Witness(Model):
    """A provider's edge: notes where it is, and does what its script says, call by call."""

    ref: Any
    does: list[str]
    reached: list[tuple[str, str]]

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
        del messages, model_settings
        where = f"{self.ref.provider}@{self.ref.deployment}" if self.ref.deployment else None
        self.reached.append((where or self.ref.provider, self.ref.model))
        kind = self.does.pop(0) if len(self.does) > 1 else self.does[0]
        if kind == "cut":
            raise ModelConnectionError(self.ref.model, "reset")
        if kind.isdigit():
            known = {"503": ModelServerError}.get(kind)
            raise ModelHTTPError.for_category(known, status_code=int(kind), model_name="m")
        text: Any = TextPart("" if kind in ("empty", "filtered") else f"So it is {len(kind)}.")
        if model_request_parameters.output_tools and kind == "ok":
            text = ToolCallPart("final_result", {"score": 0.1, "reason": "vague"})
        return ModelResponse(
            parts=[text],
            usage=RequestUsage(input_tokens=9, output_tokens=9),
            model_name=self.ref.model,
            finish_reason="content_filter" if kind == "filtered" else "stop",
        )

    def request_stream(self, *_: Any, **__: Any) -> Any:
        return _Whole(self, _)


class _Whole:
    """A stream in one piece."""

    def __init__(self, model: Witness, asked: Any) -> None:
        self.model, self.asked = model, asked

    async def __aenter__(self) -> CompletedStreamedResponse:
        response = await self.model.request(*self.asked[:3])
        return CompletedStreamedResponse(
            response, model_request_parameters=self.asked[2], replay_events=True
        )

    async def __aexit__(self, *_: object) -> None: ...


@dataclass
class Plan:
    """A fleet.toml at random, who behaves how, and what is asked of it."""

    chains: dict[str, list[tuple[str, str]]]
    listed: dict[str, set[str]]
    regions: dict[str, set[str]]
    unclassified: str | None
    data_class: str | None
    checks: list[str]
    on_content_filter: str
    does: dict[tuple[str, str], list[str]] = field(default_factory=dict[Any, Any])

    def toml(self) -> str:
        tables = [f"[deployments.{name}]\n{_region(at)}" for name, at in REGIONS.items()]
        for name, models in self.chains.items():
            refs = [_ref(place, model) for place, model in models]
            tables.append(
                f"[chains.{name}]\nmodels = {json.dumps(refs)}\nbackoff_s = 0.001\n"
                f'on_content_filter = "{self.on_content_filter}"\n'
            )
        tables.append(
            '[stages.answer]\nchain = "main"\ntask_type = "answering"\n'
            f"checks = {json.dumps(self.checks)}\n"
            '[stages.judge]\nchain = "judges"\ntask_type = "judging"\n[circuits]\nfailures = 99\n'
        )
        lines = [f'"{place}" = {json.dumps(sorted(found))}' for place, found in self.listed.items()]
        if self.unclassified:
            lines.append(f'unclassified = "{self.unclassified}"')
        lines.append("[data.regions]")
        lines += [f"{name} = {json.dumps(sorted(found))}" for name, found in self.regions.items()]
        return "".join(tables) + "[data]\n" + "\n".join(lines) + "\n"

    def allows(self, place: str, *, data_class: str | None) -> bool:
        """Apply the rule itself: the class is listed there, and may be in its region."""
        meant = data_class or self.unclassified
        if meant is None:
            return True
        region = REGIONS.get(place.partition("@")[2])
        bound = self.regions.get(meant)
        return meant in self.listed.get(place, ()) and (bound is None or region in bound)


def _region(region: str | None) -> str:
    return f'region = "{region}"\n' if region else ""


def _ref(place: str, model: str) -> str:
    provider, at, deployment = place.partition("@")
    return f"{provider}:{model}{at}{deployment}"


places = st.sampled_from(PLACES)
models = st.lists(
    st.tuples(places, st.sampled_from(("m1", "m2"))), min_size=1, max_size=4, unique=True
)
plans = st.builds(
    Plan,
    chains=st.fixed_dictionaries(dict.fromkeys(CHAINS, models)),
    listed=st.dictionaries(places, st.sets(st.sampled_from(CLASSES))),
    regions=st.dictionaries(
        st.sampled_from(CLASSES), st.sets(st.sampled_from(("eu-central-1", "us-east-1")))
    ),
    unclassified=st.sampled_from((None, *CLASSES)),
    data_class=st.sampled_from((None, *CLASSES)),
    checks=st.lists(st.sampled_from(("judge:0.5", "agreement:second")), unique=True),
    on_content_filter=st.sampled_from(("next", "stop")),
    does=st.dictionaries(
        st.tuples(places, st.sampled_from(("m1", "m2"))),
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
    ),
)
WAYS = ("handle", "direct", "streamed")


def play(desk: Desk, folder: Path, plan: Plan, way: str) -> list[tuple[str, str]]:
    """Which models one request reached; the ledger of it is in `desk.root`."""
    desk.root = folder / str(next(counter))
    desk.root.mkdir()
    (desk.root / "fleet.toml").write_text(plan.toml())
    reached: list[tuple[str, str]] = []
    request, error = desk.module("runtime.run").Request, desk.module("runtime.errors").FleetError
    question: list[ModelMessage] = [ModelRequest.user_text_prompt("How many?")]

    def build(ref: Any) -> Witness:
        place = f"{ref.provider}@{ref.deployment}" if ref.deployment else ref.provider
        return Witness(ref, list(plan.does.get((place, ref.model), ["ok"])), reached)

    async def use() -> None:
        async with desk.module("workspace").Workspace.open(desk.root, build=build) as workspace:
            try:
                if way == "handle":
                    await workspace.handle(request("How many?", data_class=plan.data_class))
                elif way == "direct":
                    await model_request(workspace.chains["main"], question)
                else:
                    async with model_request_stream(workspace.chains["main"], question) as events:
                        async for _ in events:
                            pass
            except error:
                pass

    asyncio.run(use())
    return reached


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plan=plans, way=st.sampled_from(WAYS))
def test_no_class_reaches_a_place_that_does_not_list_it(
    desk: Desk, tmp_path: Path, plan: Plan, way: str
) -> None:
    reached = play(desk, tmp_path, plan, way)
    # A chain that is used as a plain model has no request, and so no class.
    data_class = plan.data_class if way == "handle" else None
    allowed = {place: plan.allows(place, data_class=data_class) for place in PLACES}
    assert all(allowed[place] for place, _ in reached)
    rows = desk.rows("chain, provider, deployment, request_model, outcome, error_type, attempt")
    asked, skipped = [], set[tuple[str, str, str]]()
    for chain, provider, deployment, model, outcome, error_type, _ in rows:
        place = f"{provider}@{deployment}" if deployment else provider
        if outcome != "skipped":
            asked.append((place, model))
        if error_type == "data_class":
            assert (outcome, allowed[place]) == ("skipped", False)
            skipped.add((chain, place, model))
    assert sorted(asked) == sorted(reached), "the ledger has each model that the request reached"
    if not any(row[0] == "main" and row[4] == "ok" for row in rows) and not _stopped(plan, rows):
        forbidden = {("main", *one) for one in plan.chains["main"] if not allowed[one[0]]}
        assert {one for one in skipped if one[0] == "main"} == forbidden, "each with its skip"


def _stopped(plan: Plan, rows: list[Any]) -> bool:
    """Whether the chain stopped before its end, as its settings say."""
    return plan.on_content_filter == "stop" and any(row[5] == "content_filter" for row in rows)


@pytest.mark.parametrize("way", WAYS)
def test_what_nobody_may_see_reaches_nobody(desk: Desk, tmp_path: Path, way: str) -> None:
    plan = Plan(
        chains={name: [("alpha", "m1"), ("beta@eu", "m2")] for name in CHAINS},
        listed={"alpha": {"public"}, "beta@eu": {"public", "personal"}},
        regions={},
        unclassified="secret",
        data_class="secret",
        checks=["judge:0.5", "agreement:second"],
        on_content_filter="next",
    )
    assert play(desk, tmp_path, plan, way) == []
    assert desk.rows() == [("m1", "skipped", "data_class"), ("m2", "skipped", "data_class")]


@pytest.mark.parametrize(("check", "stage"), [("judge:0.5", "judge"), ("agreement:second", None)])
def test_who_judges_is_bound_like_who_answers(
    desk: Desk, tmp_path: Path, check: str, stage: str | None
) -> None:
    """The answer is returned: a model that the data may not reach cannot object to it."""
    plan = Plan(
        chains={
            "main": [("alpha@eu", "m1")],
            "judges": [("beta", "m2"), ("alpha@us", "m2")],
            "second": [("beta", "m2"), ("alpha@us", "m2")],
        },
        listed={"alpha@eu": {"personal"}, "alpha@us": {"personal"}, "beta": {"public"}},
        regions={"personal": {"eu-central-1"}},
        unclassified=None,
        data_class="personal",
        checks=[check],
        on_content_filter="next",
    )
    assert play(desk, tmp_path, plan, "handle") == [("alpha@eu", "m1")]
    rows = desk.rows("stage, provider, deployment, outcome, error_type")
    name = stage or "second_opinion"
    assert sorted(rows, key=str) == [
        ("answer", "alpha", "eu", "ok", None),
        (name, "alpha", "us", "skipped", "data_class"),
        (name, "beta", None, "skipped", "data_class"),
    ]


# Over real clients: what a content filter means, and keys that belong to places.

FILTERED = {
    "marked": COMMANDS["content-filter"],
    "in words": COMMANDS["refusal"],
    "as an error": Reply(
        status=400,
        body='{"error": {"message": "Invalid prompt: your prompt was flagged as potentially '
        'violating our usage policy.", "type": "invalid_request_error", "code": "invalid_prompt"}}',
    ),
}


@pytest.mark.parametrize("how", FILTERED)
@pytest.mark.parametrize("rule", ["next", "stop", "human"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_content_filter_means_what_the_chain_says(
    desk: Desk, how: str, rule: str, streamed: bool
) -> None:
    desk.models, desk.rules = ["openai:strict", "anthropic:ok"], {"on_content_filter": rule}
    desk.server.script["strict"] = [FILTERED[how]]
    request, errors = desk.module("runtime.run").Request, desk.module("runtime.errors")

    async def use(workspace: Any) -> str:
        if not streamed:
            answer = await workspace.handle(request("Something"))
            return answer.output or f"{answer.status} {answer.ticket}"
        question: list[ModelMessage] = [ModelRequest.user_text_prompt("Something")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
            return events.get().text or ""

    if streamed and how == "in words":
        pytest.skip("a refusal in words shows after its first word: `on_cut` says what follows")
    came: object = None
    try:
        came = desk.play(use)
    except errors.FleetError as error:
        came = type(error)
    rows = desk.rows("request_model, outcome")
    assert rows[0][0] == "strict"
    assert rows[0][1] in ("rejected", "failed")
    if rule == "next":
        assert (came, rows[1:]) == (TEXT, [("ok", "ok")])
    if rule == "stop":
        assert (came, rows[1:]) == (errors.ChainExhausted, [])
    if rule == "human":
        assert rows[1:] == [("human", "escalated")]
        assert came is errors.Escalated if streamed else str(came).startswith("escalated ")
    assert desk.hits() == (["strict", "ok"] if rule == "next" else ["strict"])
