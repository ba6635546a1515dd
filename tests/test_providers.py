"""Each provider against a loopback server: an answer with usage, and one hit on a 503."""

import asyncio
import importlib
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from tests import harness
from tests.test_loopback import open_client

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
PROVIDERS = [f.name for f in harness.CATALOG.of("provider") if f.name != "xai"]


class Server(ThreadingHTTPServer):
    """Answers every POST with one status and body, every GET with an Azure token, and counts."""

    status = 200
    body: dict[str, Any]
    hits = 0
    authorized = ""
    asked_for = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    @property
    def cloud(self) -> Server:
        return cast(Server, self.server)

    def do_GET(self) -> None:
        self.cloud.asked_for = f"{self.headers['X-IDENTITY-HEADER']} {self.path}"
        self._send({"access_token": "t0ken", "expires_on": "4102444800", "token_type": "Bearer"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.cloud.hits += 1
        self.cloud.authorized = self.headers.get("Authorization", "")
        self._send(self.cloud.body)

    def _send(self, reply: dict[str, Any]) -> None:
        server = self.cloud
        body = json.dumps(reply).encode()
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test says what went wrong."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


def ask(every_provider: str, provider: str, url: str, **where: Any) -> Any:
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest

    module = importlib.import_module(f"{every_provider}.runtime.providers.{provider}")
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    deployment = fleet.Deployment(**{"base_url": url, "region": "eu-central-1", **where})

    async def play() -> Any:
        model = module.build("vendor/m" if provider == "openrouter" else "m", deployment)
        async with open_client(model):
            return await model_request(model, [ModelRequest.user_text_prompt("Hi")])

    return asyncio.run(play())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_arrives_with_its_usage(
    every_provider: str, provider: str, server: Server
) -> None:
    server.body = BODIES.get(provider, OPENAI)
    response = ask(every_provider, provider, server.url)
    assert response.text == "Hello."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_sdk_does_not_retry(every_provider: str, provider: str, server: Server) -> None:
    from pydantic_ai.exceptions import ModelAPIError

    server.status, server.body = 503, {"error": {"message": "overloaded", "code": 503}}
    with pytest.raises(ModelAPIError):
        ask(every_provider, provider, server.url)
    assert server.hits == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bedrock_finds_credentials_as_the_tools_of_aws_do(
    every_provider: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile of the usual file, chosen by AWS_PROFILE, as `aws configure` writes it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        "[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    server.body = BEDROCK
    assert ask(every_provider, "bedrock", server.url).text == "Hello."
    assert "Credential=AKIDTEAM/" in server.authorized
    assert "/eu-central-1/bedrock/" in server.authorized


@pytest.mark.parametrize("keyless", [True, False])
def test_azure_takes_the_login_of_the_machine_where_it_is_keyless(
    every_provider: str, server: Server, monkeypatch: pytest.MonkeyPatch, keyless: bool
) -> None:
    """A managed identity, as App Service offers one: DefaultAzureCredential asks this server."""
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    if not keyless:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a key")
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "proof")
    server.body = OPENAI
    assert ask(every_provider, "azure", server.url, keyless=keyless).text == "Hello."
    assert server.authorized == ("Bearer t0ken" if keyless else "")
    assert ("cognitiveservices.azure.com" in server.asked_for) == keyless


@pytest.mark.parametrize(
    ("provider", "where", "asked_for"),
    [
        ("bedrock", {}, ("AWS_DEFAULT_REGION",)),
        ("bedrock", {"region": "eu-central-1"}, ()),
        ("azure", {}, ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION")),
        ("azure", {"base_url": "https://x"}, ("AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION")),
        ("azure", {"base_url": "https://x", "keyless": True}, ("OPENAI_API_VERSION",)),
        ("openai_compatible", {}, ("OPENAI_COMPATIBLE_BASE_URL",)),
        ("openai_compatible", {"base_url": "http://x", "key_env": "X_KEY"}, ("X_KEY",)),
        ("anthropic", {"key_env": "EU_KEY", "base_url": "https://x"}, ("EU_KEY",)),
        ("ollama", {}, ()),
    ],
)
def test_what_a_deployment_says_is_not_asked_of_the_environment(
    every_provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    provider: str,
    where: dict[str, Any],
    asked_for: tuple[str, ...],
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_VERSION", "OPENAI_COMPATIBLE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    at = "\n".join(f"{key} = {json.dumps(value)}" for key, value in where.items())
    (tmp_path / "fleet.toml").write_text(
        f'[chains.main]\nmodels = ["{provider}:m@there"]\n[deployments.there]\n{at}\n'
        '[stages.answer]\nchain = "main"\ntask_type = "answering"\n'
    )
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    cli = importlib.import_module(f"{every_provider}.cli")
    monkeypatch.setattr("sys.argv", ["desk", "doctor"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr().out
    assert re.findall(r"([A-Z_]+) not set", printed) == list(asked_for)
    assert ended.value.code == bool(asked_for)
