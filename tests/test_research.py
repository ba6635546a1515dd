"""Research over this project's own documents: the model is scripted, all else is real."""

import asyncio
import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests import harness
from tests.conftest import ROOT

NAME = "own_documents"
QUESTION = "Why is a feature one folder, and how is the lock file made?"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a workspace whose documents are this project's README, AGENTS.md and docs/."""
    answers = {**harness.BARE, "patterns": ["research"], "package": NAME}
    folder = harness.render_workspace(tmp_path_factory.mktemp("research") / "w", answers)
    shutil.rmtree(folder / "documents")
    shutil.copytree(ROOT / "docs", folder / "documents" / "docs")
    for name in ("README.md", "AGENTS.md"):
        shutil.copy(ROOT / name, folder / "documents")
    sys.path.insert(0, str(folder / "src"))
    yield folder
    sys.path.remove(str(folder / "src"))


def reply_to(stage: str, text: str) -> dict[str, Any]:
    """Claim whole sentences of the source, and an invented one; cite all claims, and one too many."""
    if stage == "query":
        return {"queries": ["feature folder", "lock file hashes"]}
    if stage == "claim":
        source = text.partition("<source>\n")[2].partition("\n</source>")[0]
        sentences = [" ".join(one.split()) for one in re.findall(r"[A-Z][^.#`]{40,300}\.", source)]
        claims = [{"text": one, "quote": one} for one in sentences]
        return {"claims": [*claims, {"text": "It is purple.", "quote": "Purple, all of it."}]}
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    return {"statements": [{"text": f"Point {n}.", "claims": [n, 9999]} for n in numbers]}


def research(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    modules = {
        name: importlib.import_module(f"{NAME}.{name}") for name in ("workspace", "runtime.run")
    }
    run = modules["runtime.run"]
    monkeypatch.setenv("FLEET_ROOT", str(workspace))

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        del info
        asked = next(m for m in messages if isinstance(m, ModelRequest))
        text = next(str(p.content) for p in asked.parts if isinstance(p, UserPromptPart))
        answer = reply_to(run.current.get().name, text)
        return ModelResponse(parts=[ToolCallPart("final_result", answer)])

    async def play() -> Any:
        opened = modules["workspace"].Workspace.open(build=lambda _: FunctionModel(model))
        async with opened as open_:
            return await open_.run("research", run.Request(QUESTION))

    return asyncio.run(play()).output


def test_every_citation_leads_to_a_claim_and_every_claim_into_a_file(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = research(workspace, monkeypatch)
    assert report.status == "answered"
    assert not report.problems
    assert report.counts.sources >= 4
    assert report.counts.ungrounded == report.counts.sources
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", report.answer)}
    assert cited == {claim.number for claim in report.claims}
    for claim in report.claims:
        for quote in claim.quotes:
            path, _, _ = quote.url.partition("#")
            assert quote.text in (workspace / path).read_text("utf-8")


def test_the_index_finds_the_document_that_answers(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = research(workspace, monkeypatch)
    urls = {quote.url.partition("#")[0] for claim in report.claims for quote in claim.quotes}
    assert any("0001-one-folder" in url for url in urls)
    assert any("0004-lock-file" in url for url in urls)
