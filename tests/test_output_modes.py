"""A chain is a pydantic-ai model: every output mode, `direct` and `Agent`, whole and streamed."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from scaffold.catalog.catalog import Catalog
from tests.fleets import FORMATS, Desk, desk, import_rendered, loopback
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# A model of each provider whose answers can be held to a schema; Mistral's client has no such mode.
NATIVE = {
    "openai": "gpt-6-luna",
    "azure": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "google": "gemini-3.8-flash",
    "bedrock": "anthropic.claude-haiku-4-5-20251001-v1:0",
}
MODES = ("tool", "native", "prompted", "auto")
SPOKEN = [(name, mode) for name in FORMATS for mode in MODES if mode != "native" or name in NATIVE]
QUESTION: list[ModelMessage] = [ModelRequest.user_text_prompt("Who wrote the first program?")]
ADA = {"name": "Ada", "age": 36}
PIXEL = BinaryContent(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    ),
    media_type="image/png",
)


class Person(BaseModel):
    name: str
    age: int


SCHEMA = Person.model_json_schema()


def typed(mode: Any) -> ModelRequestParameters:
    """Return a request for a Person, as `direct` takes it."""
    return ModelRequestParameters(
        output_mode=mode,
        output_object=OutputObjectDefinition(json_schema=SCHEMA, name="person"),
        output_tools=[
            ToolDefinition(name="final_result", parameters_json_schema=SCHEMA, kind="output")
        ],
        allow_text_output=False,
    )


def person_in(response: ModelResponse) -> Person:
    for call in response.tool_calls:
        return Person.model_validate_json(call.args_as_json_str())
    return Person.model_validate_json(response.text or "")


def model_of(provider: str) -> str:
    return f"{provider}:{NATIVE.get(provider, 'typed')}"


def answers(desk: Desk, provider: str, *replies: Reply) -> None:
    """Set up a chain of one model, of this provider, that replies like this."""
    desk.models = [model_of(provider)]
    desk.server.script[desk.models[0].partition(":")[2]] = list(replies)


@pytest.mark.parametrize(("provider", "mode"), SPOKEN)
def test_direct_gets_a_typed_answer(desk: Desk, provider: str, mode: str) -> None:
    answers(desk, provider, Reply(answer=ADA))

    async def ask(workspace: Any) -> Person:
        chain = workspace.chains["main"]
        return person_in(await model_request(chain, QUESTION, model_request_parameters=typed(mode)))

    assert desk.play(ask) == Person(**ADA)
    assert desk.rows("outcome, attempt, input_tokens, output_tokens") == [("ok", 1, 120, 30)]
    sent = json.dumps(desk.server.seen[0].body).replace("\\", "")
    assert '"age"' in sent, "the schema travels with the request"


@pytest.mark.parametrize(("provider", "mode"), SPOKEN)
def test_direct_streams_a_typed_answer(desk: Desk, provider: str, mode: str) -> None:
    answers(desk, provider, Reply(answer=ADA))

    async def ask(workspace: Any) -> Person:
        chain = workspace.chains["main"]
        async with model_request_stream(
            chain, QUESTION, model_request_parameters=typed(mode)
        ) as events:
            async for _ in events:
                pass
            return person_in(events.get())

    assert desk.play(ask) == Person(**ADA)
    assert desk.server.seen[0].streamed
    assert desk.rows("outcome, attempt, input_tokens, output_tokens") == [("ok", 1, 120, 30)]


@pytest.mark.parametrize("mode", MODES)
def test_each_model_of_a_chain_prepares_the_mode_for_itself(desk: Desk, mode: str) -> None:
    """The first fails; the second, of another wire format, is asked in the same mode."""
    desk.models = [model_of("openai"), model_of("anthropic")]
    desk.server.script["gpt-6-luna"] = [Reply(status=503)]
    desk.server.script["claude-haiku-5-5"] = [Reply(answer=ADA)]

    async def ask(workspace: Any) -> Person:
        chain = workspace.chains["main"]
        return person_in(await model_request(chain, QUESTION, model_request_parameters=typed(mode)))

    assert desk.play(ask) == Person(**ADA)
    assert desk.rows("outcome, error_type") == [("failed", "overloaded"), ("ok", None)]


def agent_for(chain: Any, output: Any) -> tuple[Agent[None, Person], list[str]]:
    """Return an agent with a tool, and the arguments that its tool was called with."""
    agent, called = Agent(chain, output_type=output), list[str]()

    @agent.tool_plain
    def age_of(name: str) -> int:  # pyright: ignore[reportUnusedFunction] - the agent has it
        """How old somebody is."""
        called.append(name)
        return 36

    return agent, called


OUTPUTS = {
    "tool": ToolOutput(Person),
    "native": NativeOutput(Person),
    "prompted": PromptedOutput(Person),
    "auto": Person,
}
# Gemini takes no tools beside a schema before its third generation, and Bedrock's likewise differ.
USED_WITH_TOOLS = [(name, mode) for name, mode in SPOKEN if (name, mode) != ("google", "native")]


@pytest.mark.parametrize(("provider", "mode"), USED_WITH_TOOLS)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_uses_its_tool_and_gives_a_typed_answer(
    desk: Desk, provider: str, mode: str, streamed: bool
) -> None:
    answers(desk, provider, Reply(tool=("age_of", {"name": "Ada"})), Reply(answer=ADA))

    async def ask(workspace: Any) -> tuple[Person, list[str]]:
        agent, called = agent_for(workspace.chains["main"], OUTPUTS[mode])
        if not streamed:
            return (await agent.run("Who?")).output, called
        async with agent.run_stream("Who?") as result:
            return await result.get_output(), called

    assert desk.play(ask) == (Person(**ADA), ["Ada"])
    assert "36" in json.dumps(desk.server.seen[1].body), "the model gets the tool's result"
    assert desk.rows("outcome, error_type, attempt") == [("ok", None, 1)] * 2
    assert len({row[0] for row in desk.rows("call_id")}) == 2, "each request is a call"


def test_an_agents_own_repair_tells_what_was_wrong(desk: Desk) -> None:
    answers(desk, "openai", Reply(answer={"name": "Ada"}), Reply(answer=ADA))

    async def ask(workspace: Any) -> Person:
        agent, _ = agent_for(workspace.chains["main"], Person)
        return (await agent.run("Who?")).output

    assert desk.play(ask) == Person(**ADA)
    assert "Field required" in json.dumps(desk.server.seen[1].body["messages"][-1])


def test_an_agent_falls_back_in_the_middle_of_its_work(desk: Desk) -> None:
    """The first model calls the tool and goes down; the second reads its result and answers."""
    desk.models = ["openai:first", "anthropic:second"]
    desk.server.script["first"] = [
        Reply(tool=("age_of", {"name": "Ada"})),
        Reply(status=503),
    ]
    desk.server.script["second"] = [Reply(answer=ADA)]

    async def ask(workspace: Any) -> tuple[Person, list[str]]:
        agent, called = agent_for(workspace.chains["main"], Person)
        return (await agent.run("Who?")).output, called

    assert desk.play(ask) == (Person(**ADA), ["Ada"])
    assert desk.rows() == [
        ("first", "ok", None),
        ("first", "failed", "overloaded"),
        ("second", "ok", None),
    ]


# A stage's typed answer: the router's classifier is one in every workspace that has a router.

ROUTED = """
[stages.classify]
chain = "main"
task_type = "classification"
[chains.expensive]
models = ["anthropic:grand@anthropic"]
[chains.cheap]
models = ["anthropic:small@anthropic"]
"""
EASY = {"intent": "answer", "complexity": 1, "confidence": 0.9, "reason": "a capital"}


@pytest.fixture(scope="session")
def with_router(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    answers = {
        "providers": [feature.name for feature in catalog.of("provider")],
        "patterns": ["router"],
        "agents": [],
    }
    with import_rendered(catalog, tmp_path_factory.mktemp("routed"), "with_router", answers) as it:
        yield it


@pytest.fixture
def routed(desk: Desk, with_router: str) -> Desk:
    return Desk(with_router, desk.server, desk.root, more=ROUTED)


@pytest.mark.parametrize("provider", FORMATS)
def test_an_answer_that_does_not_fit_is_sent_back_once_with_what_is_wrong(
    routed: Desk, provider: str
) -> None:
    wrong = EASY | {"complexity": "seventeen"}
    answers(routed, provider, Reply(answer=wrong), Reply(answer=EASY))
    assert routed.ask().output == TEXT
    classified = [
        row[1:] for row in routed.rows("stage, outcome, error_type") if row[0] == "classify"
    ]
    assert classified == [("rejected", "malformed"), ("ok", None)]
    first, second = (json.dumps(seen.body) for seen in routed.server.seen[:2])
    assert "complexity" in second[len(first) - 2 :], "the field that was wrong"
    assert "seventeen" in second
    assert "seventeen" not in first
    assert "valid integer" in second, "and what was wrong with it"


def test_a_second_misfit_sends_the_request_to_the_next_model(routed: Desk) -> None:
    routed.models = ["openai:stubborn", "anthropic:fits"]
    routed.server.script["stubborn"] = [Reply(answer=EASY | {"complexity": "seventeen"})]
    routed.server.script["fits"] = [Reply(answer=EASY)]
    routed.ask()
    rows = routed.rows("stage, request_model, outcome, error_type, fallback_from")
    assert [row[1:] for row in rows if row[0] == "classify"] == [
        ("stubborn", "rejected", "malformed", None),
        ("stubborn", "rejected", "malformed", None),
        ("fits", "ok", None, "stubborn"),
    ]
    assert routed.hits().count("stubborn") == 2, "one answer, one repair"


def test_text_around_the_json_is_no_answer_but_can_be_repaired(routed: Desk) -> None:
    answers(routed, "openai", Reply(text="It is easy."), Reply(answer=EASY))
    routed.ask()
    classified = [row[1] for row in routed.rows("stage, outcome") if row[0] == "classify"]
    assert classified == ["rejected", "ok"]


# What a model cannot do is found out before it is asked.


def plain(desk: Desk, **lacks: bool) -> Any:
    """Build OpenAI's models on the loopback server; those named `plain` lack a capability."""

    def build(ref: Any) -> OpenAIChatModel:
        provider = OpenAIProvider(api_key="x", base_url=desk.server.url("openai"))
        provider.client.max_retries = 0
        profile = ModelProfile(**lacks) if ref.model == "plain" else None  # pyright: ignore[reportArgumentType]
        return OpenAIChatModel(ref.model, provider=provider, profile=profile)

    return build


def skipped_then_answered(desk: Desk, use: Any, **lacks: bool) -> Any:
    """Return what `use` makes of a chain whose first model lacks something."""
    desk.models = ["openai:plain", "openai:able"]
    desk.server.script["able"] = [Reply(answer=ADA)]
    got = desk.play(use, build=plain(desk, **lacks))
    assert desk.rows("request_model, outcome, error_type, attempt, fallback_from") == [
        ("plain", "skipped", "no_capability", 1, None),
        ("able", "ok", None, 2, "plain"),
    ]
    assert desk.hits() == ["able"]
    return got


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("mode", "lacks"),
    [
        ("native", {"supports_json_schema_output": False}),
        ("tool", {"supports_tools": False}),
        ("auto", {"supports_tools": False, "supports_json_schema_output": False}),
    ],
)
def test_a_model_without_the_output_mode_is_skipped(
    desk: Desk, mode: str, lacks: dict[str, bool], streamed: bool
) -> None:
    async def ask(workspace: Any) -> Person:
        chain = workspace.chains["main"]
        if not streamed:
            response = await model_request(chain, QUESTION, model_request_parameters=typed(mode))
            return person_in(response)
        async with model_request_stream(
            chain, QUESTION, model_request_parameters=typed(mode)
        ) as events:
            async for _ in events:
                pass
            return person_in(events.get())

    assert skipped_then_answered(desk, ask, **lacks) == Person(**ADA)


def test_a_model_without_tools_is_skipped_by_an_agent_that_has_some(desk: Desk) -> None:
    async def ask(workspace: Any) -> Person:
        agent, _ = agent_for(workspace.chains["main"], PromptedOutput(Person))
        return (await agent.run("Who?")).output

    assert skipped_then_answered(desk, ask, supports_tools=False) == Person(**ADA)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_model_without_eyes_is_not_shown_an_image(desk: Desk, earlier: bool) -> None:
    shown = ModelRequest(parts=[UserPromptPart(["Who is this?", PIXEL])])
    follow = [ModelRequest.user_text_prompt("Well?")] if earlier else []

    async def ask(workspace: Any) -> str | None:
        return (await model_request(workspace.chains["main"], [shown, *follow])).text

    assert skipped_then_answered(desk, ask, supports_image_input=False) == json.dumps(ADA)


def test_a_provider_without_a_schema_mode_is_skipped_not_an_error(desk: Desk) -> None:
    """Mistral's profile says nothing about schemas, which means no."""
    desk.models = ["mistral:typed", "openai:gpt-6-luna"]
    desk.server.script["gpt-6-luna"] = [Reply(answer=ADA)]

    async def ask(workspace: Any) -> Person:
        chain = workspace.chains["main"]
        response = await model_request(chain, QUESTION, model_request_parameters=typed("native"))
        return person_in(response)

    assert desk.play(ask) == Person(**ADA)
    assert desk.rows()[0] == ("typed", "skipped", "no_capability")


def test_nobody_able_is_one_error_with_every_reason(desk: Desk, tmp_path: Path) -> None:
    del tmp_path
    desk.models = ["openai:plain"]

    async def ask(workspace: Any) -> None:
        await model_request(
            workspace.chains["main"], QUESTION, model_request_parameters=typed("native")
        )

    exhausted = desk.module("runtime.errors").ChainExhausted
    with pytest.raises(exhausted, match="no_capability"):
        desk.play(ask, build=plain(desk, supports_json_schema_output=False))
    assert desk.hits() == []
