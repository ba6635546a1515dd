"""Anthropic's messages as gateways send them, through its own client."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast

import pytest
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest, ModelResponse

from desk.runtime.fleet import Deployment
from desk.runtime.providers import anthropic

USAGE = {"input_tokens": 9, "output_tokens": 3, "service_tier": "priority", "inference_geo": "us"}


class Gateway(HTTPServer):
    """A server on loopback that streams one answer, with this usage."""

    usage: dict[str, Any] | None = None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            for event in _events(cast(Gateway, self.server).usage)
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _events(usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    message = {
        **{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"},
        **{"content": [], "stop_reason": None, "stop_sequence": None},
    }
    block = {"type": "text", "text": ""}
    said = {"type": "text_delta", "text": "Paris."}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_start", "message": message | ({"usage": usage} if usage else {})}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": said}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": end} | (
        {"usage": {"output_tokens": 3}} if usage else {}
    )
    yield {"type": "message_stop"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> ModelResponse:
    monkeypatch.setenv(anthropic.KEY, "k")
    url = f"http://127.0.0.1:{gateway.server_address[1]}"
    model = anthropic.build("claude-haiku-4-5", Deployment(base_url=url))

    async def play() -> ModelResponse:
        async with model:
            return await model_request(model, [ModelRequest.user_text_prompt("Where?")])

    return asyncio.run(play())


def test_where_it_ran_and_in_which_tier_is_kept(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.usage = USAGE
    answer = ask(gateway, monkeypatch)
    assert (answer.text, answer.usage.input_tokens) == ("Paris.", 9)
    details = answer.provider_details or {}
    assert (details["service_tier"], details["inference_geo"]) == ("priority", "us")


def test_an_answer_without_usage_is_an_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(gateway, monkeypatch)
    assert (answer.text, answer.usage.input_tokens) == ("Paris.", 0)
