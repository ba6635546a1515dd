"""Errors as providers send them, through the official clients: each is the kind it should be."""

import asyncio
import importlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest

from tests.loopback import Reply, Server, serve

BODIES = Path(__file__).with_name("error_bodies")
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{case['kind']}-{case['status']}-{at}")
    for path in sorted(BODIES.glob("*.toml"))
    for at, case in enumerate(tomllib.loads(path.read_text("utf-8"))["case"])
]
PROVIDERS = {path.stem for path in BODIES.glob("*.toml")}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("every_key"),
]


@dataclass
class Clients:
    """One server, and one client of it per provider: to make one for each case would take minutes."""

    server: Server
    package: str
    runner: asyncio.Runner
    models: dict[str, Any] = field(default_factory=dict[str, Any])

    def of(self, module: str) -> Any:
        return importlib.import_module(f"{self.package}.runtime.{module}")

    def ask(
        self, provider: str, reply: Reply, *, streamed: bool = False
    ) -> tuple[str | None, Exception | None]:
        """Return the kind of failure that a reply is, and what was raised."""
        name = "openai/m" if provider == "openrouter" else "m"
        self.server.script[name] = [reply]
        self.server.hits.clear()
        found = self.runner.run(self._play(provider, name, streamed=streamed))
        assert self.server.hits == {name: 1}
        return found

    async def _play(
        self, provider: str, name: str, *, streamed: bool
    ) -> tuple[str | None, Exception | None]:
        failures, fleet = self.of("failures"), self.of("fleet")
        if provider not in self.models:
            place = fleet.Deployment(base_url=self.server.url(provider), region="eu-central-1")
            built = self.of(f"providers.{provider}").build(name, place)
            adapted = self.of("openai_chat").adapt(built)
            self.models[provider] = self.of("false_success").adapt(adapted)
            await self.models[provider].__aenter__()
        try:
            async with asyncio.timeout(10):
                request = [ModelRequest.user_text_prompt("Hi")]
                if streamed:
                    async with model_request_stream(self.models[provider], request) as stream:
                        async for _ in stream:
                            pass
                        response = stream.get()
                else:
                    response = await model_request(self.models[provider], request)
        except failures.EXPECTED as error:
            return failures.classify_error(error), error
        # Azure's content filter comes out of the client as a response that says so.
        return self.of("completion").reject_end(response), None

    async def close(self) -> None:
        for model in self.models.values():
            await model.__aexit__(None, None, None)
            closing = getattr(model.provider.client, "close", lambda: None)()
            if isawaitable(closing):
                await closing


@pytest.fixture(scope="module")
def clients(every_provider: str) -> Iterator[Clients]:
    with serve(600) as server, asyncio.Runner() as runner:
        clients = Clients(server, every_provider, runner)
        yield clients
        runner.run(clients.close())


@pytest.mark.parametrize(("provider", "case"), CASES)
def test_a_recorded_error_is_of_its_kind(
    clients: Clients, provider: str, case: dict[str, Any]
) -> None:
    reply = Reply(
        status=case["status"],
        body=case["body"],
        headers=case.get("headers", {}),
        content_type=case.get("content_type"),
    )
    kind, error = clients.ask(provider, reply)
    assert kind == case["kind"], f"{type(error).__name__}: {error}"
    waits = case.get("retry_after_s", case.get("headers", {}).get("retry-after"))
    if waits is not None and error is not None:
        assert clients.of("retry_after").retry_after_s(error) == float(waits)


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_a_stream_of_one_error_is_read_however_it_ends(clients: Clients, ending: str) -> None:
    body = 'data: {"error": {"message": "Wait.", "code": 429}}' + ending
    reply = Reply(body=body, content_type="text/event-stream")
    assert clients.ask("openai", reply, streamed=True)[0] == "rate_limited"


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_table_has_every_kind_a_provider_sends(provider: str) -> None:
    cases = tomllib.loads((BODIES / f"{provider}.toml").read_text("utf-8"))["case"]
    kinds = {case["kind"] for case in cases}
    assert kinds >= {
        "rate_limited",
        "overloaded",
        "context_too_long",
        "bad_request",
        "authentication",
        "unknown_model",
    }
    assert all(case["source"] for case in cases)


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 250
