"""Chat completions whose bookkeeping is missing or doubled, as an SDK reads them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from desk.runtime.bookkeeping import USUAL, Reasons, fill, hooks


class Body(httpx2.AsyncByteStream):
    """A body that arrives in two pieces."""

    def __init__(self, body: bytes) -> None:
        self.pieces = (body[:20], body[20:])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def receive(body: bytes, kind: str = "application/json", reasons: Reasons = USUAL) -> bytes:
    """Return what a client with the hooks receives."""

    async def play() -> bytes:
        reply = httpx2.Response(200, headers={"content-type": kind}, stream=Body(body))
        transport = httpx2.MockTransport(lambda _: reply)
        async with httpx2.AsyncClient(transport=transport, event_hooks=hooks(reasons)) as client:
            return (await client.get("http://127.0.0.1:9")).content

    return asyncio.run(play())


def events(*answers: Any, reasons: Reasons = USUAL) -> list[Any]:
    """Return the events of a stream as a client receives them."""
    body = "".join(f"data: {json.dumps(answer)}\n\n" for answer in answers) + "data: [DONE]\n\n"
    lines = receive(body.encode(), "text/event-stream", reasons).splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith(b"data:{")] + [
        json.loads(line[6:]) for line in lines if line.startswith(b"data: {")
    ]


def test_an_answer_without_bookkeeping_gets_it() -> None:
    message = {"content": [{"text": "Par"}, {"text": "is"}], "tool_calls": None}
    answer = json.loads(receive(json.dumps({"choices": [{"message": message}]}).encode()))
    assert answer["object"] == "chat.completion"
    assert (answer["id"], answer["model"], answer["created"]) == ("", "", 0)
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    (choice,) = answer["choices"]
    assert choice["index"] == 0
    assert choice["message"] == {"role": "assistant", "content": "Paris"}


def test_counts_become_numbers_and_nonsense_goes() -> None:
    usage = {
        "prompt_tokens": "9",
        "completion_tokens": 3.0,
        "cached_tokens": "many",
        "prompt_tokens_details": None,
    }
    answer: dict[str, Any] = {"choices": [{"message": {}}], "usage": usage, "service_tier": 7}
    fill(answer)
    assert answer["usage"] == {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    assert "service_tier" not in answer
    fill("not an answer")


def test_a_reason_is_one_that_the_sdk_knows() -> None:
    for said, read in ((None, "stop"), ("stop", "stop"), ("of_its_own", "error")):
        answer: dict[str, Any] = {"choices": [{"message": {}, "finish_reason": said}]}
        fill(answer, Reasons(unsaid="stop", known=("stop",)))
        assert answer["choices"][0]["finish_reason"] == read


def test_a_tool_call_is_whole() -> None:
    call = {"function": {"name": "look", "arguments": {"at": 1}}}
    answer: dict[str, Any] = {"choices": [{"message": {"tool_calls": [call]}}]}
    fill(answer)
    (filled,) = answer["choices"][0]["message"]["tool_calls"]
    assert (filled["type"], filled["index"], filled["id"]) == ("function", 0, "")
    assert filled["function"]["arguments"] == '{"at": 1}'


def test_tool_calls_of_a_stream_are_kept_apart() -> None:
    def piece(index: int | None, id_: str | None, name: str | None, arguments: str) -> Any:
        function = {"name": name, "arguments": arguments}
        call = {"index": index, "id": id_, "function": function}
        return {"choices": [{"delta": {"tool_calls": [call]}}]}

    said = events(
        piece(0, "one", "look", ""),
        piece(0, "", None, "{}"),
        piece(0, "two", "look", "{}"),
        piece(None, None, "look", "{}"),
    )
    calls = [one["choices"][0]["delta"]["tool_calls"][0] for one in said]
    assert [call["index"] for call in calls] == [0, 0, 1, 2]
    assert calls[1]["function"]["name"] == ""


def test_usage_that_grows_in_a_stream_counts_once() -> None:
    def piece(tokens: int) -> Any:
        usage = {"prompt_tokens": 9, "completion_tokens": tokens}
        return {"choices": [{"delta": {"content": "x"}}], "usage": usage}

    said = events(piece(1), piece(3), reasons=Reasons(sums=True))
    assert sum(one["usage"]["completion_tokens"] for one in said) == 3
    assert sum(one["usage"]["prompt_tokens"] for one in said) == 9


def test_of_several_answers_in_a_stream_the_first_is_read() -> None:
    choices = [{"index": 0, "delta": None}, {"index": 1, "delta": {"content": "other"}}]
    (said,) = events({"choices": choices})
    assert [choice["index"] for choice in said["choices"]] == [0]
    assert said["choices"][0]["delta"] == {"role": "assistant"}


def test_what_is_not_an_answer_stays_as_it_is() -> None:
    for body in (b'{"error": {"code": 429}}', b'{"choices": broken', b"plain"):
        assert receive(body) == body
    assert receive(b'{"choices": []}', "text/plain") == b'{"choices": []}'
