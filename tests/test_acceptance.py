"""What passes as an answer: what says that it is whole, in each wire format; and what is read of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelRequest

from tests.examples import first_quick
from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # Google's client warns of a reason that it does not know, and goes on.
    pytest.mark.filterwarnings("ignore:.* is not a valid FinishReason:UserWarning"),
]
WIRES = ("openai", "anthropic")


class Person(BaseModel):
    name: str
    age: int


ADA = {"name": "Ada", "age": 36}


def ending(reason: str | None) -> Callable[[Any], Any]:
    """Return an edit after which an answer, or the end of a stream, has this reason for its end."""

    def edit(body: Any) -> Any:
        for choice in body.get("choices", ()):
            if choice["finish_reason"] or "message" in choice:
                choice["finish_reason"] = reason
        if body.get("type") == "message":
            body["stop_reason"] = reason
        if body.get("type") == "message_delta":
            body["delta"]["stop_reason"] = reason
        for candidate in body.get("candidates", ()):
            if "finishReason" in candidate:
                candidate["finishReason"] = reason
        return body

    return edit


def played(desk: Desk, provider: str, *replies: Reply) -> str:
    """Return the answer of a chain whose first model, of this provider, replies like this."""
    desk.models = [f"{provider}:first", f"{'openai' if provider != 'openai' else 'anthropic'}:ok"]
    desk.server.script["first"] = list(replies)
    return desk.ask().output


BROKEN = {
    "openai": ("error", "abort", "network_error", "insufficient_system_resource", "whatever"),
    "anthropic": ("pause_turn", "whatever", None),
    "google": (
        *("MALFORMED_FUNCTION_CALL", "OTHER", "LANGUAGE", "NO_IMAGE", "IMAGE_OTHER"),
        *("MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "FINISH_REASON_UNSPECIFIED", None),
    ),
    "mistral": ("error", "whatever"),
}


@pytest.mark.parametrize("provider", first_quick(BROKEN, 2))
def test_what_does_not_say_that_it_is_whole_is_billed_and_rejected(
    desk: Desk, provider: str
) -> None:
    for reason in BROKEN[provider]:
        reply = Reply(text="Paris is the", edit=ending(reason))
        assert played(desk, provider, reply) == TEXT, reason
        first = desk.rows("request_model, outcome, error_type, output_tokens")[-2]
        assert first == ("first", "rejected", "broken_off", 30), reason


@pytest.mark.parametrize(
    ("provider", "reason", "kind"),
    [
        ("openai", "eos", None),
        ("openai", "EOS_TOKEN", None),
        ("openai", None, None),  # Ollama and others leave it out
        ("openai", "end_turn", None),
        ("anthropic", "stop_sequence", None),
        ("openai", "max_tokens", "truncated"),
        ("openai", "sensitive", "content_filter"),
        ("google", "IMAGE_RECITATION", "content_filter"),
        ("anthropic", "model_context_window_exceeded", "truncated"),
    ],
)
def test_other_names_for_an_end_are_known(
    desk: Desk, provider: str, reason: str | None, kind: str | None
) -> None:
    played(desk, provider, Reply(edit=ending(reason)))
    assert desk.rows("outcome, error_type")[0] == ("rejected" if kind else "ok", kind)


@pytest.mark.parametrize("provider", WIRES)
def test_a_tool_that_was_not_offered_is_no_answer(desk: Desk, provider: str) -> None:
    reply = Reply(tool=("delete_everything", {"really": True}))
    assert played(desk, provider, reply) == TEXT
    assert desk.rows()[0] == ("first", "rejected", "uninvited_tool")


def test_a_tool_call_that_got_lost_is_no_answer(desk: Desk) -> None:
    assert played(desk, "openai", Reply(text="Let me see.", edit=ending("tool_calls"))) == TEXT
    assert desk.rows()[0] == ("first", "rejected", "broken_off")


@pytest.mark.parametrize("provider", WIRES)
def test_a_prompt_that_the_server_cut_is_no_answer(desk: Desk, provider: str) -> None:
    desk.models = [f"{provider}:first", "mistral:ok"]
    desk.server.script["first"] = [Reply(input_tokens=4096, cached_tokens=0)]
    assert desk.ask("Remember this. " + "filler words here " * 9_000).output == TEXT
    assert desk.rows()[0] == ("first", "rejected", "prompt_cut")


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        ("filler words here " * 9_000, {"input_tokens": 27_000, "cached_tokens": 26_000}),
        ("filler words here " * 9_000, {"input_tokens": 120, "cached_tokens": 0}),  # not a window
        ("漢字かな交じり文。" * 4_000, {"input_tokens": 9_000, "cached_tokens": 0}),
        ("=" * 160_000, {"input_tokens": 2_500, "cached_tokens": 0}),
        (" \n" * 80_000, {"input_tokens": 1_250, "cached_tokens": 0}),
        ("AAAABBBB" * 20_000, {"input_tokens": 40_000, "cached_tokens": 0}),
    ],
)
def test_a_prompt_that_may_be_whole_is_not_called_cut(
    desk: Desk, text: str, usage: dict[str, Any]
) -> None:
    desk.models = ["mistral:first"]
    desk.server.script["first"] = [Reply(**usage)]
    assert desk.ask(text).output == TEXT


def shapes() -> dict[str, tuple[str, dict[str, Any] | None]]:
    good = json.dumps(ADA)
    return {
        "fence": f"```\n{good}\n```",
        "upper case": f"```JSON\n{good}\n```",
        "before": f"Here is the JSON:\n```json\n{good}\n```",
        "after": f"```json\n{good}\n```\nLet me know!",
        "both, no fence": f"Sure [1]: {good} as asked.",
        "thought": f"short question\n</think>\n\n{good}",
        "thoughts": f'<think>{{"name": "Bob"}}?</think>{good}',
        "mark": "\ufeff" + good,
        "comma": '{"name": "Ada", "age": 36,}',
        "python": "{'name': 'Ada', 'age': 36}",
        "twice": json.dumps(good),
        "again": f"{good}\n{good}",
    }  # pyright: ignore[reportReturnType]


def ask_typed(desk: Desk, *models: str) -> Any:
    run = desk.module("runtime.run")
    desk.models = models

    async def use(workspace: Any) -> Any:
        one = run.Run(run.Request("?"), workspace.fleet, workspace.chains)
        return await one.ask(run.SubAgent("answer", Person), "Who?", chain="main")

    return desk.play(use)


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize("shape", list(shapes()))
def test_json_with_something_around_it_is_read_and_paid_once(
    desk: Desk, provider: str, shape: str
) -> None:
    desk.server.script["typed"] = [Reply(text=str(shapes()[shape]))]
    assert ask_typed(desk, f"{provider}:typed") == Person(**ADA)
    assert desk.rows("outcome, attempt") == [("ok", 1)]


@pytest.mark.parametrize("shape", ["twice", "fence", "before"])
def test_arguments_of_a_tool_are_read_as_well(desk: Desk, shape: str) -> None:
    def edit(body: Any) -> Any:
        call = body["choices"][0]["message"]["tool_calls"][0]
        call["function"]["arguments"] = shapes()[shape]
        return body

    desk.server.script["typed"] = [Reply(answer=ADA, edit=edit)]
    assert ask_typed(desk, "openai:typed") == Person(**ADA)
    assert desk.rows("outcome, attempt") == [("ok", 1)]


@pytest.mark.parametrize(
    "text", ['{"name": "Ada", "age": 36} or {"name": "Bob", "age": 1}', '{"x": {"name": "A"}, "y"']
)
def test_what_could_mean_two_things_is_asked_again(desk: Desk, text: str) -> None:
    desk.server.script["typed"] = [Reply(text=text), Reply(answer=ADA)]
    assert ask_typed(desk, "openai:typed") == Person(**ADA)
    assert desk.rows("outcome, attempt") == [("rejected", 1), ("ok", 2)]


@pytest.mark.parametrize("provider", WIRES)
def test_two_calls_under_one_id_are_both_made(desk: Desk, provider: str) -> None:
    def edit(body: Any) -> Any:
        for choice in body.get("choices", ()):
            calls = choice["message"]["tool_calls"]
            calls += [json.loads(json.dumps(calls[0]))]
        if blocks := body.get("content"):
            blocks += [dict(blocks[0])]
        return body

    asked = list[str]()

    def age_of(name: str) -> int:
        """How old somebody is."""
        asked.append(name)
        return 36

    desk.models = [f"{provider}:tooled"]
    desk.server.script["tooled"] = [
        Reply(tool=("age_of", {"name": "Ada"}), edit=edit),
        Reply(tool=("age_of", {"name": "Bob"})),  # the same id again, in a later turn
        Reply(),
    ]
    run = desk.module("runtime.run")

    async def use(workspace: Any) -> Any:
        one = run.Run(run.Request("?"), workspace.fleet, workspace.chains)
        return await one.ask(run.SubAgent("answer", str, tools=(age_of,)), "Who?", chain="main")

    assert desk.play(use) == TEXT
    assert asked[0] == "Ada"
    assert asked[-1] == "Bob"
    sent = json.dumps(desk.server.seen[-1].body)
    key = '"tool_call_id": "' if provider == "openai" else '"tool_use_id": "'
    ids = [rest.partition('"')[0] for rest in sent.split(key)[1:]]
    assert len(ids) == len(set(ids)) == len(asked)


@pytest.mark.parametrize("where", ["text", "history", "user_ref", "tags"])
@pytest.mark.parametrize("provider", WIRES)
def test_half_characters_are_made_harmless_before_anything_is_paid(
    desk: Desk, provider: str, where: str
) -> None:
    half = "caf\ud83d \x00 \x1b[2J \ud83d\ude00 \t\n"
    whole = "caf\ufffd \ufffd \ufffd[2J \U0001f600 \t\n"
    values: dict[str, Any] = {
        "text": half,
        "user_ref": half,
        "tags": {"page": half},
        "history": [ModelRequest.user_text_prompt(half)],
    }
    desk.models = [f"{provider}:ok"]
    request = {where: values[where]}
    assert desk.ask(request.pop("text", "?"), **request).output == TEXT
    user, tags = desk.rows("user_ref, tags")[0]
    sent = json.dumps(desk.server.seen[0].body, ensure_ascii=False)
    found = {"user_ref": str(user), "tags": str(tags)}.get(where, sent)
    assert json.dumps(whole, ensure_ascii=False)[1:-1] in found or whole in found


@pytest.mark.parametrize("provider", WIRES)
def test_half_characters_in_an_answer_are_harmless_too(desk: Desk, provider: str) -> None:
    desk.models = [f"{provider}:half"]
    desk.server.script["half"] = [Reply(text="Paris \ud83d\x00")]
    assert desk.ask().output == "Paris \ufffd\ufffd"
    assert desk.rows("outcome") == [("ok",)]
