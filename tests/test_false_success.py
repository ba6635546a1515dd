"""Errors that arrive with status 200: each is of its own kind, in every wire format."""

import json
from typing import Any

import pytest

from tests.loopback import Reply
from tests.test_error_bodies import Clients, clients

__all__ = ["clients"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("every_key"),
]
HTTP = ("openai", "azure", "openai_compatible", "openrouter", "groq", "mistral", "deepseek")
HTTP += ("anthropic", "google")


def error(**parts: Any) -> dict[str, Any]:
    return {"error": {"message": "It failed.", **parts}}


def choice_with(**parts: Any) -> dict[str, Any]:
    """Return an answer in OpenAI's format whose choice holds an error, as OpenRouter documents it."""
    choice = {"index": 0, "finish_reason": "error", "native_finish_reason": None, **parts}
    return {
        **{"id": "gen-1", "object": "chat.completion", "created": 1, "model": "m"},
        **{"provider": "X", "choices": [{**choice, "message": {"role": "assistant"}}]},
    }


BODIES = {
    "rate_limited": [
        error(type="tokens", code="rate_limit_exceeded"),
        error(code=429),
        error(code="429"),
        error(status="RESOURCE_EXHAUSTED", code=429),
        choice_with(error={"code": 429, "message": "slow down"}),
        {"status": 429, "title": "Too Many Requests"},
        # https://github.com/BerriAI/litellm/issues/8448
        {
            **choice_with(finish_reason="stop"),
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            **error(code=429, metadata={"raw": "error code: 1015", "provider_name": "Kluster"}),
        },
        {"code": "1302", "msg": "High concurrency", "success": False},  # Z.ai
    ],
    "quota": [
        error(type="insufficient_quota", code="insufficient_quota"),
        # MiniMax: https://platform.minimax.io/docs/api-reference/errorcode
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    ],
    "authentication": [
        error(type="invalid_request_error", code="invalid_api_key"),
        {"object": "error", "message": "No", "type": "AuthenticationError", "code": 401},
        error(type="authentication_error"),
    ],
    "overloaded": [
        error(type="server_error"),
        error(type="overloaded_error"),
        error(code=502, metadata={"provider_name": "X"}),
        {"error": "Service temporarily unavailable"},
        [error(code=503, status="UNAVAILABLE")],
        choice_with(error={"code": 502, "message": "Upstream died"}),
    ],
    "context_too_long": [
        error(type="invalid_request_error", code="context_length_exceeded"),
        # https://github.com/ggml-org/llama.cpp/issues/14566
        error(
            code=400,
            message="the request exceeds the available context size. try increasing it",
            type="invalid_request_error",
        ),
    ],
    "content_filter": [
        error(type="invalid_request_error", code="content_policy_violation"),
        {"errors": [{"code": 2016, "message": "Prompt blocked"}], "success": False},
    ],
    "unknown_model": [error(type="not_found_error"), error(code="model_not_found")],
    "bad_request": [
        error(type="invalid_request_error"),
        {"object": "error", "message": "Bad", "type": "BadRequestError", "code": 400},
    ],
}
CASES = [
    pytest.param(kind, body, id=f"{kind}-{at}")
    for kind, bodies in BODIES.items()
    for at, body in enumerate(bodies)
]
FORMS = ("whole", "first event", "whole to a stream")


def reply(body: object, form: str) -> Reply:
    text = json.dumps(body)
    if form != "first event":
        return Reply(body=text)
    events = f": processing\n\nevent: error\ndata: {text}\n\n"
    return Reply(body=events, content_type="text/event-stream")


@pytest.mark.parametrize(("kind", "body"), CASES)
@pytest.mark.parametrize("form", FORMS)
def test_an_error_with_status_200_is_of_its_kind(
    clients: Clients, kind: str, body: object, form: str
) -> None:
    for provider in HTTP:
        found, error = clients.ask(provider, reply(body, form), streamed=form != "whole")
        assert found == kind, f"{provider}: {error!r}"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"__type": "ThrottlingException", "message": "slow"}, "rate_limited"),
        (error(code=503), "overloaded"),
    ],
)
def test_bedrock_says_so_as_well(clients: Clients, body: object, kind: str) -> None:
    assert clients.ask("bedrock", Reply(body=json.dumps(body)))[0] == kind


@pytest.mark.parametrize("body", [{"hello": "world"}, [], "error", None])
def test_what_says_nothing_has_no_kind_of_its_own(clients: Clients, body: object) -> None:
    assert clients.ask("openai", Reply(body=json.dumps(body)))[0] in ("malformed", "network")


def test_an_error_after_a_part_of_the_answer_is_of_its_kind_and_paid_for(
    clients: Clients,
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    body: dict[str, Any] = choice_with(error={"code": 429, "message": "slow down"})
    body["usage"], body["choices"][0]["message"]["content"] = usage, "Paris is"
    for provider in ("openai", "openrouter"):
        kind, error = clients.ask(provider, Reply(body=json.dumps(body)))
        assert (kind, error) == ("rate_limited", None)


@pytest.mark.parametrize("provider", ["openai", "openai_compatible", "groq", "mistral"])
@pytest.mark.parametrize("beside_choices", [False, True])
def test_an_error_beside_a_whole_answer_that_is_paid_for_is_one(
    clients: Clients, provider: str, beside_choices: bool
) -> None:
    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        holder = answer if beside_choices else answer["choices"][0]
        holder["error"] = {"code": 429, "message": "slow down"}
        return answer

    kind, error = clients.ask(provider, Reply(edit=edit))
    assert (kind in ("rate_limited", "broken_off"), error) == (True, None), kind


def test_an_answer_that_says_that_nothing_failed_is_an_answer(clients: Clients) -> None:
    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"error": None, "base_resp": {"status_code": 0, "status_msg": ""}}

    for provider in ("openai", "groq", "mistral", "anthropic", "google"):
        for streamed in (False, True):
            assert clients.ask(provider, Reply(edit=edit), streamed=streamed) == (None, None)


def test_an_error_later_in_a_stream_is_of_its_kind(clients: Clients) -> None:
    first = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    first |= {"provider": "X", "choices": [{"index": 0, "delta": {"content": "Pa"}}]}
    flat = {"object": "error", "message": "No", "type": "RateLimitError", "code": 429}
    late = first | {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}
    late["choices"][0]["error"] = {"code": 429, "message": "slow"}
    for last in (flat, late, first | error(code=429)):
        body = "".join(f"data: {json.dumps(one)}\n\n" for one in (first, last))
        for provider in ("openai", "openai_compatible", "openrouter"):
            events = Reply(body=body, content_type="text/event-stream")
            assert clients.ask(provider, events, streamed=True)[0] == "rate_limited", last
