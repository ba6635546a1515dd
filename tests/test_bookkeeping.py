"""An answer whose bookkeeping is missing or null is still an answer, whole and streamed."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest

from tests.examples import first_quick
from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.loopback.formats import FORMATS
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OPENAI = (
    *("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"),
    *("choices.0.index", "choices.0.message.role", "choices.0.delta.role", "usage.total_tokens"),
    *("choices.0.logprobs", "usage.prompt_tokens_details", "usage.completion_tokens_details"),
)
FIELDS = {
    "openai": OPENAI,
    "openrouter": (*OPENAI, "provider"),
    "groq": (*OPENAI, "x_groq", "x_groq.usage"),
    "mistral": OPENAI,
    "anthropic": (
        *("id", "role", "model", "usage", "stop_sequence", "message.id", "message.model"),
        *("message.usage", "message.role", "usage.cache_read_input_tokens", "index"),
    ),
    "google": (
        *("modelVersion", "responseId", "usageMetadata", "candidates.0.index"),
        *("candidates.0.content.role", "usageMetadata.totalTokenCount"),
    ),
}


CHAT = ("openai", "azure", "deepseek", "openrouter", "openai_compatible", "groq", "mistral")
ODD: dict[str, Any] = {
    "id": 7,
    "object": "text_completion",
    "created": 1_790_000_000.5,
    "model": ["m"],
    "system_fingerprint": {"a": 1},
    "service_tier": 3,
    "unheard_of": {"a": [1]},
    "choices.0.unheard_of": 1,
    "choices.0.index": "0",
    "choices.0.logprobs": "none",
    "choices.0.message.role": "model",
    "choices.0.delta.role": 5,
    "choices.0.message.tool_calls": [],
    "choices.0.delta.tool_calls": [],
    "choices.0.message.annotations": None,
    "choices.0.message.content": [{"type": "text", "text": TEXT[:9]}, TEXT[9:]],
    "usage": [],
    "usage.prompt_tokens": "120",
    "usage.completion_tokens": 30.0,
    "usage.total_tokens": "many",
    "usage.prompt_tokens_details": [],
    "usage.completion_tokens_details": {"reasoning_tokens": None},
    "usage.unheard_of": "1",
}


def set_to(path: str, value: Any) -> Callable[[Any], Any]:
    """Return an edit that puts a value into a field of each answer that has a place for it."""
    *parents, last = path.split(".")

    def edit(answer: Any) -> Any:
        at = answer
        try:
            for part in parents:
                at = at[int(part) if part.isdigit() else part]
        except (KeyError, IndexError):
            return answer
        if isinstance(at, dict):
            at[last] = value
        return answer

    return edit


def without(path: str, *, null: bool) -> Callable[[Any], Any]:
    """Return an edit that takes a field out of an answer, or empties it."""
    *parents, last = path.split(".")

    def edit(answer: Any) -> Any:
        at = answer
        try:
            for part in parents:
                at = at[int(part) if part.isdigit() else part]
        except (KeyError, IndexError):
            return answer
        if null:
            at[last] = None
        else:
            at.pop(last, None)
        return answer

    return edit


def deployments(desk: Desk) -> str:
    """Servers of OpenAI's format under other names."""
    url, others = desk.server.url("openai"), ("openrouter", "deepseek", "openai_compatible", "groq")
    return "".join(f'[deployments.{name}]\nbase_url = "{url}"\n' for name in others)


async def both(workspace: Any) -> list[str | None]:
    """Return what a chain answers in one piece, and as a stream."""
    chain, question = workspace.chains["main"], [ModelRequest.user_text_prompt("?")]
    whole = await model_request(chain, question)
    async with model_request_stream(chain, question) as events:
        async for _ in events:
            pass
        return [whole.text, events.get().text]


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("provider", first_quick(FIELDS, 2))
def test_a_field_of_the_bookkeeping_is_missing(desk: Desk, provider: str, null: bool) -> None:
    name = "openai/spare" if provider == "openrouter" else "spare"
    desk.models = [f"{provider}:{name}"]
    desk.more = deployments(desk)

    async def ask_all(workspace: Any) -> list[str]:
        wrong: list[str] = []
        for field in FIELDS[provider]:
            desk.server.script[name] = [Reply(edit=without(field, null=null))]
            if await both(workspace) != [TEXT, TEXT]:
                wrong.append(field)
        return wrong

    assert not desk.play(ask_all)
    assert desk.rows("outcome") == [("ok",)] * 2 * len(FIELDS[provider])


@pytest.mark.parametrize("provider", first_quick(CHAT, 2))
def test_a_field_of_the_bookkeeping_is_odd(desk: Desk, provider: str) -> None:
    name = "openai/spare" if provider == "openrouter" else "spare"
    desk.models = [f"{provider}:{name}"]
    desk.more = deployments(desk)

    async def ask_all(workspace: Any) -> list[str]:
        wrong: list[str] = []
        for field, value in ODD.items():
            desk.server.script[name] = [Reply(edit=set_to(field, value))]
            try:
                said = await both(workspace)
            except Exception as error:  # named below, with the others
                said = [repr(error)]
            if said != [TEXT, TEXT]:
                wrong.append(f"{field}: {said}")
        return wrong

    assert not desk.play(ask_all)


@pytest.mark.parametrize("provider", CHAT)
@pytest.mark.parametrize("reason", ["wombat", 5])
def test_a_reason_that_nobody_knows_is_rejected_and_billed(
    desk: Desk, provider: str, reason: object
) -> None:
    name = "openai/spare" if provider == "openrouter" else "spare"
    desk.models, desk.more = [f"{provider}:{name}", "anthropic:ok"], deployments(desk)
    desk.server.script[name] = [Reply(edit=set_to("choices.0.finish_reason", reason))]
    assert desk.ask().output == TEXT
    assert desk.rows("outcome, error_type, input_tokens") == [
        ("rejected", "broken_off", 120),
        ("ok", None, 120),
    ]


@pytest.mark.parametrize("provider", ["groq", "mistral"])
def test_an_answer_without_a_reason_is_not_known_to_be_whole(desk: Desk, provider: str) -> None:
    desk.models, desk.more = [f"{provider}:spare", "anthropic:ok"], deployments(desk)
    desk.server.script["spare"] = [Reply(edit=without("choices.0.finish_reason", null=False))]
    assert desk.ask().output == TEXT
    assert desk.rows("outcome, error_type")[0] == ("rejected", "broken_off")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "mistral", "groq"])
def test_an_answer_without_usage_has_unknown_tokens(desk: Desk, provider: str) -> None:
    def edit(answer: Any) -> Any:
        return without("message.usage", null=False)(without("usage", null=False)(answer))

    desk.models, desk.more = [f"{provider}:spare"], deployments(desk)
    desk.server.script["spare"] = [Reply(edit=edit)]
    assert desk.play(both) == [TEXT, TEXT]
    assert desk.rows("outcome, input_tokens, output_tokens") == [("ok", None, None)] * 2


def test_a_field_of_another_type_is_let_pass(desk: Desk) -> None:
    def edit(answer: Any) -> Any:
        return answer | {"id": 7, "created": "yesterday", "system_fingerprint": 1, "usage": []}

    desk.models = ["openai:spare"]
    desk.server.script["spare"] = [Reply(edit=edit)]
    assert desk.ask().output == TEXT


def send(desk: Desk, provider: str, change: Callable[[list[bytes]], list[bytes]]) -> list[Any]:
    """Return the text and the row of a stream that was changed on the wire."""
    reply = Reply(text="Paris is fine.")
    wire, asked = FORMATS[provider], {"stream_options": {"include_usage": True}}
    raw = b"".join([*wire.tokens("spare", reply, asked), wire.ending("spare", reply, asked)])
    events = [event + b"\n\n" for event in raw.split(b"\n\n") if event]
    body = b"".join(change(events)).decode()
    desk.models, desk.more = [f"{provider}:spare", "anthropic:ok"], deployments(desk)
    desk.server.script["spare"] = [Reply(body=body, content_type="text/event-stream")]

    async def read(workspace: Any) -> str | None:
        question = [ModelRequest.user_text_prompt("?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
            return events.get().text

    desk.rules = {"on_cut": "restart"}
    return [desk.play(read), *desk.rows("outcome, error_type, input_tokens")[:1]]


WHOLE = ["Paris is fine.", ("ok", None, 120)]


def two_choices(events: list[bytes]) -> list[bytes]:
    second = [event.replace(b'"index": 0', b'"index": 1') for event in events[:2]]
    return [*events[:2], *second, *events[2:]]


STREAMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "keep-alives": lambda events: [b": alive\n\n", *(b":\n\n" + event for event in events)],
    "other line ends": lambda events: [event.replace(b"\n", b"\r\n") for event in events],
    "no blank": lambda events: [event.replace(b"data: ", b"data:") for event in events],
    "no [DONE]": lambda events: [event for event in events if b"DONE" not in event],
    "other fields": lambda events: [b"retry: 3000\nid: 1\n" + event for event in events],
    "null usage": lambda events: (
        [event.replace(b'"choices": [{', b'"usage": null, "choices": [{') for event in events[:-2]]
        + events[-2:]
    ),
    "two choices": two_choices,
}


@pytest.mark.parametrize("provider", ["openai", "mistral", "groq"])
@pytest.mark.parametrize("form", list(STREAMS))
def test_a_stream_of_another_form_is_the_same_answer(desk: Desk, provider: str, form: str) -> None:
    assert send(desk, provider, STREAMS[form]) == WHOLE


@pytest.mark.parametrize("provider", ["openai", "mistral", "groq"])
@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n", b'data: {"id": "1", "cho'])
def test_a_stream_that_does_not_say_why_it_ends_is_cut(
    desk: Desk, provider: str, end: bytes
) -> None:
    assert send(desk, provider, lambda events: [*events[:3], end])[0] == TEXT
    assert desk.rows("outcome")[0] == ("failed",)


def test_what_openrouter_says_of_the_cost_is_kept(desk: Desk) -> None:
    def edit(answer: Any) -> Any:
        if answer.get("usage"):
            answer["usage"] |= {"cost": 0.0125, "is_byok": False, "prompt_tokens": "120"}
        return answer

    desk.models, desk.more = ["openrouter:openai/spare"], deployments(desk)
    desk.server.script["openai/spare"] = [Reply(edit=edit)]
    assert desk.play(both) == [TEXT, TEXT]
    assert desk.rows("cost_nano_usd, cost_source") == [(12_500_000, "provider")] * 2


def test_what_is_no_answer_stays_none(desk: Desk) -> None:
    desk.models = ["openai:spare", "anthropic:ok"]
    for field in ("choices", "choices.0.message"):
        desk.server.script["spare"] = [Reply(edit=without(field, null=False))]
        assert desk.ask().output == TEXT
        assert desk.rows("outcome, error_type")[-2] == ("failed", "malformed"), field


@pytest.mark.parametrize("count", [10**20, 10**15, 1e300])
def test_a_count_that_cannot_be_true_is_not_reported(desk: Desk, count: float) -> None:
    """The answer is paid for: it is returned, and its row is written."""
    desk.models = ["openai:m"]
    desk.server.script["m"] = [Reply(edit=set_to("usage.prompt_tokens", count))]
    assert desk.ask().status == "answered"
    assert desk.rows("outcome, input_tokens, cost_nano_usd, cost_source") == [
        ("ok", None, None, "none")
    ]
