"""Streams and tool calls in every form that a wire format allows, and in some that it does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest

from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.loopback.formats import FORMATS
from tests.loopback.reply import REFUSAL, TEXT
from tests.test_bookkeeping import deployments
from tests.test_error_bodies import Clients, clients

__all__ = ["clients", "desk", "loopback"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("every_key"),
]
SSE = ("openai", "azure", "openrouter", "groq", "mistral", "deepseek", "openai_compatible")
SSE += ("anthropic", "google")
ALL = ("openai", "azure", "groq", "deepseek", "mistral", "anthropic", "google", "bedrock")
BOM = b"\xef\xbb\xbf"
Change = Callable[[list[bytes]], list[bytes]]
FORMS: dict[str, Change] = {
    "comments": lambda events: [b": alive\n\n", *(b":\n" + event for event in events)],
    "other fields": lambda events: [b"retry: 3000\nid: 1\n" + event for event in events],
    "mark": lambda events: [BOM, *events],
    "no blank": lambda events: [event.replace(b"data: ", b"data:") for event in events],
    "line ends": lambda events: [event.replace(b"\n", b"\r\n") for event in events],
    "old line ends": lambda events: [event.replace(b"\n", b"\r") for event in events],
    "usual name": lambda events: [
        event if event.startswith(b"event") else b"event: message\n" + event for event in events
    ],
    "two lines": lambda events: [event.replace(b', "', b',\ndata: "', 1) for event in events],
    "no end": lambda events: [*events[:-1], events[-1].rstrip()],
}


def change_stream(provider: str, change: Change, name: str = "m") -> Reply:
    wire, asked = FORMATS[provider], {"stream_options": {"include_usage": True}}
    raw = b"".join([*wire.tokens(name, Reply(), asked), wire.ending(name, Reply(), asked)])
    events = [event + b"\n\n" for event in raw.split(b"\n\n") if event]
    return Reply(body=b"".join(change(events)).decode(), content_type="text/event-stream")


@pytest.mark.parametrize("form", list(FORMS))
def test_a_stream_of_a_legal_form_is_read(clients: Clients, form: str) -> None:
    for provider in SSE:
        name = "openai/m" if provider == "openrouter" else "m"
        reply = change_stream(provider, FORMS[form], name)
        assert clients.ask(provider, reply, streamed=True) == (None, None), provider


@pytest.mark.parametrize("provider", SSE)
def test_an_event_that_is_not_whole_is_malformed(clients: Clients, provider: str) -> None:
    half = b'data: {"id": "1", "cho\n\n'
    if provider == "anthropic":
        half = b"event: content_block_delta\n" + half
    reply = change_stream(provider, lambda events: [*events[:3], half, *events[3:]])
    assert clients.ask(provider, reply, streamed=True)[0] == "malformed"


@pytest.mark.parametrize("provider", SSE)
@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("end", [b"\n\n", b""])
def test_an_error_in_a_stream_is_of_its_kind(
    clients: Clients, provider: str, at: int, end: bytes
) -> None:
    error = FORMATS[provider].stream_error().rstrip() + end
    reply = change_stream(provider, lambda events: [*events[:at], error])
    assert clients.ask(provider, reply, streamed=True)[0] == "overloaded"


def read(desk: Desk, provider: str, reply: Reply) -> str | None:
    """Return the text of a stream whose first model replies so; a good one of another provider follows."""
    desk.models = [f"{provider}:first", f"{'openai' if provider != 'openai' else 'anthropic'}:ok"]
    desk.more, desk.rules = deployments(desk), {"on_cut": "restart"}
    desk.server.script["first"] = [reply]

    async def use(workspace: Any) -> str | None:
        question = [ModelRequest.user_text_prompt("What is the capital of France?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
            return events.get().text

    return desk.play(use)


FAULTS = {
    "cut": Reply(fault="cut", after=5),
    "end": Reply(fault="end", after=5),
    "error": Reply(fault="error", after=5),
    "cut after the last word": Reply(fault="cut", after=1000, text=TEXT),
    "end after the last word": Reply(fault="end", after=1000, text=TEXT),
    "cut in a tool call": Reply(tool=("look", {"at": "it"}), fault="cut", after=2),
    "end in a tool call": Reply(tool=("look", {"at": "it"}), fault="end", after=2),
}


@pytest.mark.parametrize("provider", ALL)
def test_a_stream_that_breaks_off_is_followed_by_the_next_model(desk: Desk, provider: str) -> None:
    wrong: dict[str, Any] = {}
    for fault, reply in FAULTS.items():
        said = read(desk, provider, reply)
        outcome, kind = desk.rows("outcome, error_type")[-2]
        if (
            said != TEXT
            or outcome != "failed"
            or kind not in ("network", "overloaded", "rate_limited")
        ):
            wrong[fault] = said, outcome, kind
    assert not wrong


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "anthropic"])
def test_usage_that_grows_in_a_stream_counts_once(desk: Desk, provider: str) -> None:
    count = 0

    def edit(event: Any) -> Any:
        nonlocal count
        count = min(count + 2, 30)
        used = {"prompt_tokens": 120, "completion_tokens": count, "total_tokens": 120 + count}
        if event.get("choices"):
            event["usage"] = used
        elif event.get("type") == "message_delta":
            event["usage"] = {"output_tokens": 30}
        return event

    assert read(desk, provider, Reply(edit=edit)) == TEXT
    assert desk.rows("outcome, input_tokens, output_tokens") == [("ok", 120, 30)]


def test_a_refusal_that_is_streamed_as_one_is_rejected(desk: Desk) -> None:
    assert read(desk, "openai", Reply(text=REFUSAL, finish="refusal")) == TEXT
    assert desk.rows("outcome, error_type")[0][0] == "rejected"
    assert desk.rows("error_type")[0][0] in ("refusal", "content_filter")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", ALL)
def test_a_tool_that_was_not_offered_is_rejected(desk: Desk, provider: str, streamed: bool) -> None:
    reply = Reply(tool=("delete_everything", {"really": True}))
    if streamed:
        said = read(desk, provider, reply)
    else:
        desk.models, desk.more = [f"{provider}:first", "openai:ok"], deployments(desk)
        desk.server.script["first"] = [reply]
        said = desk.ask().output
    assert said == TEXT
    assert desk.rows("outcome, error_type")[0] == ("rejected", "uninvited_tool")


def call_tool(desk: Desk, provider: str, *replies: Reply, streamed: bool = False) -> list[int]:
    """Return what a tool was called with by a chain whose first model replies so."""
    numbers: list[int] = []

    def double(number: int) -> int:
        """Double a number."""
        numbers.append(number)
        return 2 * number

    async def use(workspace: Any) -> str:
        agent = Agent(workspace.chains["main"], tools=[double])
        if not streamed:
            return (await agent.run("What is twice 2?")).output
        async with agent.run_stream("What is twice 2?") as answer:
            return await answer.get_output()

    desk.models, desk.more = [f"{provider}:first", "azure:spare"], deployments(desk)
    desk.server.script |= {"first": list(replies), "spare": list(replies[1:])}
    assert desk.play(use) == TEXT
    return numbers


def repeat_call(event: Any) -> Any:
    """Put the tool call into an answer twice, under one id."""
    for choice in event.get("choices", ()):
        choice["message"]["tool_calls"] *= 2
    if event.get("type") == "message":
        event["content"] *= 2
    for candidate in event.get("candidates", ()):
        candidate["content"]["parts"][0]["functionCall"]["id"] = "same"
        candidate["content"]["parts"] *= 2
    if "output" in event:
        event["output"]["message"]["content"] *= 2
    return event


@pytest.mark.parametrize("provider", ALL)
def test_two_calls_with_one_id_are_two_calls(desk: Desk, provider: str) -> None:
    reply = Reply(tool=("double", {"number": 2}), edit=repeat_call)
    assert call_tool(desk, provider, reply, Reply()) == [2, 2]


def piece(**call: Any) -> dict[str, Any]:
    """Return a part of a tool call in a stream, with what `call` has of a number and an id."""
    name, arguments = {"name": "double"} if call.pop("names", True) else {}, call.pop("args")
    return {"type": "function", **call, "function": {**name, "arguments": arguments}}


PIECES = {
    "numbered": [piece(index=0, id="a", args='{"number": 1}'), piece(index=1, id="b", args='{"number": 2}')],
    "one id": [piece(index=0, id="a", args='{"number": 1}'), piece(index=1, id="a", args='{"number": 2}')],
    "all the first": [piece(index=0, id="a", args='{"number": 1}'), piece(index=0, id="b", args='{"number": 2}')],
    "no number": [piece(id="a", args='{"number": 1}'), piece(id="b", args='{"number": 2}')],
    "nothing": [piece(args='{"number": 1}'), piece(args='{"number": 2}')],
    "in pieces": [
        piece(index=0, id="a", args='{"num'),
        piece(index=0, names=False, args='ber": 1}'),
        piece(index=1, id="b", args='{"number"'),
        piece(index=1, names=False, args=": 2}"),
    ],
    "in pieces of other ids": [
        piece(index=0, id="a", args='{"num'),
        piece(index=0, id="x", names=False, args='ber": 1}'),
        piece(index=1, id="b", args='{"number"'),
        piece(index=1, id="y", names=False, args=": 2}"),
    ],
    "in pieces without numbers": [
        piece(id="a", args='{"num'),
        piece(names=False, args='ber": 1}'),
        piece(id="b", args='{"number"'),
        piece(names=False, args=": 2}"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral"])
@pytest.mark.parametrize("form", list(PIECES))
def test_calls_in_a_stream_are_kept_apart(desk: Desk, provider: str, form: str) -> None:
    pieces = [dict(one) for one in PIECES[form]]

    def edit(event: Any) -> Any:
        for choice in event["choices"]:
            if choice["finish_reason"]:
                choice["finish_reason"] = "tool_calls"
            elif choice["delta"].pop("content", None) and pieces:
                choice["delta"]["tool_calls"] = [pieces.pop(0)]
        return event

    found = call_tool(desk, provider, Reply(edit=edit), Reply(), streamed=True)
    assert sorted(found) == [1, 2]


@pytest.mark.parametrize("arguments", ['{"number": 2', '{"number": }', "[2]", "two"])
@pytest.mark.parametrize("provider", ["openai", "groq", "mistral"])
def test_a_call_whose_arguments_are_broken_is_malformed(
    desk: Desk, provider: str, arguments: str
) -> None:
    def edit(event: Any) -> Any:
        for choice in event["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                call["function"]["arguments"] = arguments
        return event

    reply = Reply(tool=("double", {"number": 2}), edit=edit)
    assert call_tool(desk, provider, reply, Reply()) == []
    assert desk.rows("outcome, error_type, input_tokens") == [
        ("rejected", "malformed", 120),
        ("ok", None, 120),
    ]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", ["openai_compatible", "ollama"])
def test_a_prompt_that_a_server_of_ones_own_cut_is_rejected(
    desk: Desk, provider: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", desk.server.url("ollama"))
    desk.models = [f"{provider}:first", "anthropic:ok"]
    desk.more = deployments(desk)
    desk.more += f'[deployments.ollama]\nbase_url = "{desk.server.url("ollama")}"\n'
    desk.server.script["first"] = [Reply(input_tokens=4096, cached_tokens=0)]
    question = "Remember this. " + "The quick brown fox jumps over the lazy dog. " * 700

    async def use(workspace: Any) -> str | None:
        asked = [ModelRequest.user_text_prompt(question)]
        async with model_request_stream(workspace.chains["main"], asked) as events:
            async for _ in events:
                pass
            return events.get().text

    desk.rules = {"on_cut": "restart"}
    assert (desk.play(use) if streamed else desk.ask(question).output) == TEXT
    assert desk.rows("outcome, error_type") == [("rejected", "prompt_cut"), ("ok", None)]


def test_a_typed_answer_whose_only_text_is_a_refusal_is_rejected(desk: Desk) -> None:
    desk.models = ["openai:first", "anthropic:second"]
    desk.server.script["first"] = [Reply(answer={"answer": REFUSAL})]
    desk.server.script["second"] = [Reply(answer={"answer": TEXT})]

    class Said(BaseModel):
        answer: str

    async def use(workspace: Any) -> str:
        agent = Agent(workspace.chains["main"], output_type=Said)
        return (await agent.run("What is the capital of France?")).output.answer

    assert desk.play(use) == TEXT
    assert desk.rows("outcome, error_type") == [("rejected", "refusal"), ("ok", None)]


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "anthropic", "google"])
def test_a_stream_that_is_cut_after_it_said_that_it_is_whole_is_an_answer(
    desk: Desk, provider: str
) -> None:
    def change(events: list[bytes]) -> list[bytes]:
        ends = ("finish_reason", "stop_reason", "finishReason")
        said = [any(f'"{end}": "'.encode() in event for end in ends) for event in events]
        kept = events[: said.index(True) + 1]
        return [*kept, b":" + b"." * sum(map(len, kept)) + b"\n\n"]

    reply = change_stream(provider, change, "first")
    assert read(desk, provider, replace(reply, fault="cut", after=1)) == TEXT
    assert desk.rows("outcome, error_type") == [("ok", None)]


@pytest.mark.parametrize("provider", SSE)
def test_what_cannot_be_read_on_the_way_in_is_not_asked_for(
    clients: Clients, provider: str
) -> None:
    assert clients.ask(provider, Reply(), streamed=True) == (None, None)
    assert clients.server.seen[-1].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("provider", ["openai", "openai_compatible", "groq", "mistral"])
def test_a_last_event_that_says_that_all_went_well_is_not_an_error(
    clients: Clients, provider: str
) -> None:
    def edit(event: Any) -> Any:
        return (
            event | {"msg": "success", "message": "ok", "error": None}
            if "usage" in event
            else event
        )

    assert clients.ask(provider, Reply(edit=edit), streamed=True) == (None, None)
