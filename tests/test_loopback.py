"""The loopback server is sound: the provider's own client reads each wire format."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from tests.loopback import Reply, Server, serve
from tests.loopback.reply import STATUSES, TEXT

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("every_key"),
]
ASK = [ModelRequest.user_text_prompt("What is the capital of France?")]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLIENTS = ("openai", "azure", "anthropic", "google", "mistral", "bedrock")
"""One client for each format, and one with an address of its own."""

TYPED = ModelRequestParameters(
    output_mode="tool",
    output_tools=[
        ToolDefinition(name="final_result", parameters_json_schema=SCHEMA, kind="output")
    ],
    allow_text_output=False,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(120) as running:
        yield running


def client(package: str, server: Server, provider: str, model: str) -> Model:
    module = importlib.import_module(f"{package}.runtime.providers.{provider}")
    fleet = importlib.import_module(f"{package}.runtime.fleet")
    built = module.build(model, fleet.Deployment(base_url=server.url(provider), region="eu-x-1"))
    return importlib.import_module(f"{package}.wiring").ADAPT(built)


@asynccontextmanager
async def open_client(model: Model) -> AsyncIterator[None]:
    """Close the client as a chain does: pydantic-ai leaves one alone that it did not make."""
    try:
        async with model:
            yield
    finally:
        inner: Any = model.provider and model.provider.client
        closing = inner.close() if hasattr(inner, "close") else None
        if isawaitable(closing):
            await closing


def ask(model: Model, parameters: ModelRequestParameters | None = None) -> ModelResponse:
    async def play() -> ModelResponse:
        async with open_client(model):
            async with asyncio.timeout(10):
                return await model_request(model, ASK, model_request_parameters=parameters)

    return asyncio.run(play())


def stream(model: Model) -> tuple[int, ModelResponse]:
    async def play() -> tuple[int, ModelResponse]:
        async with (
            open_client(model),
            asyncio.timeout(10),
            model_request_stream(model, ASK) as events,
        ):
            count = 0
            async for _ in events:
                count += 1
            return count, events.get()

    return asyncio.run(play())


@pytest.mark.parametrize("provider", CLIENTS)
def test_an_answer_with_cached_and_reasoning_tokens(
    every_provider: str, server: Server, provider: str
) -> None:
    used = ask(client(every_provider, server, provider, "ok")).usage
    assert (used.input_tokens, used.cache_read_tokens, used.output_tokens) == (120, 20, 30)
    assert server.seen[-1].provider == provider


@pytest.mark.parametrize("provider", CLIENTS)
def test_a_stream_ends_with_its_usage(every_provider: str, server: Server, provider: str) -> None:
    count, response = stream(client(every_provider, server, provider, "ok"))
    assert count > 10
    assert (response.text, response.usage.output_tokens) == (TEXT, 30)


@pytest.mark.parametrize("provider", CLIENTS)
def test_a_typed_answer_comes_through_the_tool(
    every_provider: str, server: Server, provider: str
) -> None:
    server.script["typed"] = [Reply(answer={"city": "Paris"})]
    model = client(every_provider, server, provider, "typed")
    call = ask(model, TYPED).tool_calls[0]
    assert (call.tool_name, call.args_as_dict()) == ("final_result", {"city": "Paris"})


@pytest.mark.parametrize("provider", CLIENTS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_an_error(
    every_provider: str, server: Server, provider: str, status: int
) -> None:
    with pytest.raises(ModelAPIError):
        ask(client(every_provider, server, provider, f"status-{status}"))


@pytest.mark.parametrize("provider", CLIENTS)
@pytest.mark.parametrize("command", ["cut", "cut-body", "html", "wrong-json"])
def test_a_broken_reply_is_no_answer(
    every_provider: str, server: Server, provider: str, command: str
) -> None:
    # The clients raise whatever they like here; that the chain survives it is its own test.
    with pytest.raises(Exception):  # noqa: B017 - any class will do
        ask(client(every_provider, server, provider, command))


def test_a_script_is_played_in_order(every_provider: str, server: Server) -> None:
    server.script["scripted"] = [Reply(text="one"), Reply(text="two")]
    texts = [ask(client(every_provider, server, "openai", "scripted")).text for _ in range(3)]
    assert texts == ["one", "two", "two"]


def test_it_stops_by_itself() -> None:
    with serve(0.1) as running:
        url: Any = running.url("openai")
        assert url


def test_a_hang_that_the_server_ends_is_told_from_one_that_the_client_ends(
    every_provider: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.forget()
    monkeypatch.setattr("tests.loopback.server.HANG_S", 0.01)
    with pytest.raises(ModelAPIError):
        ask(client(every_provider, server, "mistral", "hang"))
    assert set(server.outlasted) == {"hang"}
