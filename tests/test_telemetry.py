"""OpenTelemetry: a span per attempt where the program has set up a tracer, else nothing of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scaffold.catalog.catalog import Catalog
from scaffold.rendering.render import render
from tests.conftest import ROOT
from tests.loopback import Reply, Server, serve
from tests.specs import complete

pytestmark = pytest.mark.slow  # each is a program of its own, which imports the SDKs anew

EXTRAS = ["streaming"]
"""What is on beside the extras that every workspace has."""

FLEET = """
[chains.main]
models = ["openai:gpt-6-luna@down", "openai:fails@down", "anthropic:claude-haiku-5-5@up"]
backoff_s = 0.05
[stages.answer]
chain = "main"
task_type = "answering"
[deployments.down]
base_url = "{openai}"
[deployments.up]
base_url = "{anthropic}"
"""
ASK = """
import asyncio, json, sys
from desk.runtime.run import Request
from desk.workspace import Workspace

async def main():
    async with Workspace.open() as workspace:
        await workspace.handle(Request("Where is Atlantis?"))
asyncio.run(main())
"""
STREAM = """
import asyncio, json, sys
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest
from desk.workspace import Workspace

async def main():
    async with Workspace.open() as workspace:
        question = [ModelRequest.user_text_prompt("Where is Atlantis?")]
        async with model_request_stream(workspace.chains["main"], question) as events:
            async for _ in events:
                pass
asyncio.run(main())
"""
TRACED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""
SPANS = """
print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))
"""
IMPORTED = """
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def server() -> Any:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def source(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `src` of a workspace with two providers."""
    folder = tmp_path_factory.mktemp("telemetry") / "desk"
    extras = [feature.name for feature in catalog.of("extra") if feature.default]
    answers = {
        "patterns": [],
        "agents": [],
        "extras": sorted({*extras, *EXTRAS}),
        "package": "desk",
    }
    spec = complete(catalog, answers, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    return folder / "src"


def read_printed(server: Server, source: Path, root: Path, program: str) -> Any:
    """Return what a program prints, in a workspace whose first model is down and whose second refuses."""
    server.forget()
    server.script |= {
        # A gateway that echoes the key it was sent.
        "gpt-6-luna": [Reply(status=503, body='{"error": {"message": "sk-secret is down"}}')],
        "fails": [Reply(status=401)],
        "claude-haiku-5-5": [Reply()],
    }
    urls = {name: server.url(name) for name in ("openai", "anthropic")}
    (root / "fleet.toml").write_text(FLEET.format(**urls))
    keys = {"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_API_KEY": "sk-secret"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, **keys, "PYTHONPATH": str(source), "FLEET_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("program", [ASK, STREAM], ids=["asked", "streamed"])
def test_each_attempt_is_a_span_of_the_conventions(
    server: Server, source: Path, tmp_path: Path, program: str
) -> None:
    spans = read_printed(server, source, tmp_path, TRACED + program + SPANS)
    chats = [one for one in spans if one["name"].startswith("chat ")]  # clients may add their own
    assert {one["attributes"]["gen_ai.operation.name"] for one in chats} == {"chat"}
    assert [one["name"] for one in chats] == [
        "chat gpt-6-luna",
        "chat claude-haiku-5-5",
    ], "the other model of a provider that is down moves to the end: it was not asked"
    failed, answered = (one["attributes"] for one in chats)
    assert [one["status"]["status_code"] for one in chats] == ["ERROR", "UNSET"]
    assert (failed["gen_ai.provider.name"], answered["gen_ai.provider.name"]) == (
        "openai",
        "anthropic",
    )
    assert answered["gen_ai.request.model"] == "claude-haiku-5-5"
    assert answered["gen_ai.response.model"] == "claude-haiku-5-5"
    assert answered["gen_ai.usage.input_tokens"] == 120
    assert answered["gen_ai.usage.output_tokens"] == 30
    assert answered["server.address"] == "127.0.0.1"


@pytest.mark.parametrize("program", [ASK, STREAM], ids=["asked", "streamed"])
def test_a_span_holds_no_text_and_no_key(
    server: Server, source: Path, tmp_path: Path, program: str
) -> None:
    spans = json.dumps(read_printed(server, source, tmp_path, TRACED + program + SPANS))
    assert "claude-haiku-5-5" in spans
    for secret in ("Atlantis", "capital of France", "sk-secret"):
        assert secret not in spans


def test_spans_belong_to_the_span_of_the_program(
    server: Server, source: Path, tmp_path: Path
) -> None:
    within = ASK.replace(
        "    async with Workspace.open()",
        '    with trace.get_tracer("ours").start_as_current_span("request"):\n'
        "     async with Workspace.open()",
    )
    spans = read_printed(server, source, tmp_path, TRACED + within + SPANS)
    (request,) = [one for one in spans if one["name"] == "request"]
    others = [one for one in spans if one is not request]
    assert len(others) >= 2
    assert {one["context"]["trace_id"] for one in others} == {request["context"]["trace_id"]}


@pytest.mark.parametrize("program", [ASK, STREAM], ids=["asked", "streamed"])
def test_nothing_is_imported_where_no_tracer_is_set_up(
    server: Server, source: Path, tmp_path: Path, program: str
) -> None:
    """Although the SDK is installed."""
    modules = read_printed(server, source, tmp_path, program + IMPORTED)
    assert "desk.runtime.chain" in modules
    wrong = ("opentelemetry.sdk", "opentelemetry.exporter", "logfire.")
    assert [name for name in modules if name.startswith(wrong)] == []
    assert server.models() == ["gpt-6-luna", "claude-haiku-5-5"]
