"""OpenAI's client: its address, its key, its errors, no retries, and where prices vary."""

import asyncio
import json
from typing import Any, cast

import httpx2
import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest, ModelResponse

from desk.runtime.completion import reject_end
from desk.runtime.fleet import Deployment
from desk.runtime.providers import openai

ERROR = {"code": 429, "message": "slow down"}


def test_a_deployment_has_an_address_and_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EU_KEY", "a key")
    place = Deployment(base_url="https://eu.example/v1/", key_env="EU_KEY")
    assert openai.keys(place) == ("EU_KEY",)
    client = cast("Any", openai.build("vendor/m", place).provider).client
    assert (str(client.base_url), client.api_key) == ("https://eu.example/v1/", "a key")
    assert client.max_retries == 0  # every attempt is the chain's


def test_its_usual_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openai.KEY, "a key")
    assert openai.keys(Deployment()) == (openai.KEY,)
    client = cast("Any", openai.build("vendor/m", Deployment()).provider).client
    assert "api.openai.com" in str(client.base_url)


@pytest.mark.parametrize(
    ("url", "varies"),
    [
        (None, False),
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", True),
        ("https://gateway.example/eu.api.openai.com", False),
    ],
)
def test_regional_addresses_have_other_prices(
    url: str | None, varies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert openai.price_varies("gpt-6-luna", Deployment(base_url=url)) is varies
    monkeypatch.setenv("OPENAI_BASE_URL", url or "")
    assert openai.price_varies("gpt-6-luna", Deployment()) is varies


def ask(reply: dict[str, Any], *, streamed: bool) -> ModelResponse:
    """Return what the client makes of a reply with status 200."""
    kind = "text/event-stream" if streamed else "application/json"
    content = f"data: {json.dumps(reply)}\n\ndata: [DONE]\n\n" if streamed else json.dumps(reply)
    response = httpx2.Response(200, headers={"content-type": kind}, content=content)
    model = openai.build("m", Deployment(base_url="http://127.0.0.1:9"))
    client = cast("Any", model.provider).client
    client._client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: response))
    question = [ModelRequest.user_text_prompt("Where?")]

    async def play() -> ModelResponse:
        if not streamed:
            return await model_request(model, question)
        async with model_request_stream(model, question) as events:
            async for _ in events:
                pass
            return events.get()

    return asyncio.run(play())


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("error", "failure"), [({}, None), ({"error": None}, None), ({"error": ERROR}, "rate_limited")]
)
def test_an_error_beside_a_whole_answer_is_one(
    error: dict[str, Any], failure: str | None, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(openai.KEY, "a key")
    name = "delta" if streamed else "message"
    choice = {"index": 0, "finish_reason": "stop", name: {"role": "assistant", "content": "Paris."}}
    kind = "chat.completion.chunk" if streamed else "chat.completion"
    body = {"id": "c", "object": kind, "created": 1, "model": "m"}
    answer = ask({**body, "choices": [{**choice, **error}]}, streamed=streamed)
    assert answer.text == "Paris."
    assert reject_end(answer) == failure


def test_an_error_beside_the_choices_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openai.KEY, "a key")
    message = {"role": "assistant", "content": "Paris."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "error": ERROR}
    assert reject_end(ask({**body, "choices": [choice]}, streamed=False)) == "rate_limited"
