"""Each provider against a loopback server: an answer with usage, and one hit on a 503."""

import asyncio
import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import harness

OPENAI = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}
ANTHROPIC = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
GOOGLE = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    "modelVersion": "m",
    "responseId": "1",
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
    "metrics": {"latencyMs": 1},
}
BODIES: dict[str, dict[str, Any]] = {
    "anthropic": ANTHROPIC,
    "google": GOOGLE,
    "bedrock": BEDROCK,
    "openrouter": {**OPENAI, "provider": "p"},
}
pytestmark = pytest.mark.usefixtures("every_key")

# xAI speaks gRPC, which this server does not.
PROVIDERS = [f.name for f in harness.CATALOGUE.of("provider") if f.name != "xai"]


class Server(ThreadingHTTPServer):
    """Answers every POST with one status and body, and counts."""

    status = 200
    body: dict[str, Any]
    hits = 0


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.hits += 1
        body = json.dumps(server.body).encode()
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test tells what went wrong."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


def ask(every_provider: str, provider: str, url: str) -> Any:
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest

    module = importlib.import_module(f"{every_provider}.runtime.providers.{provider}")
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    deployment = fleet.Deployment(base_url=url, region="eu-central-1")

    async def play() -> Any:
        async with module.build(
            "vendor/m" if provider == "openrouter" else "m", deployment
        ) as model:
            return await model_request(model, [ModelRequest.user_text_prompt("Hi")])

    return asyncio.run(play())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_arrives_with_its_usage(
    every_provider: str, provider: str, server: Server
) -> None:
    server.body = BODIES.get(provider, OPENAI)
    response = ask(every_provider, provider, f"http://127.0.0.1:{server.server_port}")
    assert response.text == "Hello."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_sdk_does_not_retry(every_provider: str, provider: str, server: Server) -> None:
    from pydantic_ai.exceptions import ModelAPIError

    server.status, server.body = 503, {"error": {"message": "overloaded", "code": 503}}
    with pytest.raises(ModelAPIError):
        ask(every_provider, provider, f"http://127.0.0.1:{server.server_port}")
    assert server.hits == 1
