"""The pipelines on real texts: scripted models, everything else as it is rendered."""

import asyncio
import gzip
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from benchmarks import quote_pairs
from benchmarks.duplicate_pairs import DATA
from scaffold.catalog.catalog import load
from scaffold.rendering.render import render
from tests import evaluation
from tests.conftest import ROOT
from tests.specs import complete

pytestmark = evaluation.needs(DATA)
DICE = random.Random(1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a workspace with both patterns, importable as `realdesk`."""
    folder = tmp_path_factory.mktemp("real") / "desk"
    answers = {"package": "realdesk", "patterns": ["extractor_reasoner", "draft_polish"]}
    spec = complete(load(ROOT), answers, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="test", commit=None)
    sys.path.insert(0, str(folder / "src"))
    yield folder
    sys.path.remove(str(folder / "src"))


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")


def rows(name: str, most: int) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(most), strict=False)]


def extract(desk: Path, text: str, reply: Callable[[str, str], str]) -> Any:
    """Return the result for a document when `reply(stage, prompt)` stands in for every model."""
    run = importlib.import_module("realdesk.runtime.run")
    workspace = importlib.import_module("realdesk.workspace")

    def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        prompt = str(messages[0].parts[0].content)  # pyright: ignore[reportAttributeAccessIssue]
        said = TextPart(reply(run.current.get().name, prompt))
        return ModelResponse(parts=[said], usage=RequestUsage(input_tokens=9, output_tokens=9))

    async def play() -> Any:
        opened = workspace.Workspace.open(desk, build=lambda _: FunctionModel(model))
        async with opened as fleet:
            return (await fleet.run("extractor_reasoner", run.Request(text))).output

    return asyncio.run(play())


def corrupt(sentence: str) -> str:
    first, *rest = sentence.split()
    return " ".join([first, "allegedly", *rest])


@pytest.mark.parametrize(
    "row", rows("qmsum", 99)[::7] if DATA.is_dir() else [], ids=lambda row: row["id"]
)
def test_a_real_meeting(desk: Path, row: dict[str, Any]) -> None:
    text = quote_pairs.transcript(row)
    evidence = quote_pairs.evidence(row)[:60]
    sent: dict[str, list[bool]] = {}

    def reply(stage: str, prompt: str) -> str:
        if stage == "reason":
            assert len(prompt) < len(text)
            return "It is as said [1, 2], and more [9999]."
        found: list[dict[str, str]] = []
        for at, sentence in enumerate(evidence):
            if sentence not in prompt:
                continue
            true = at % 5 != 0
            sent.setdefault(sentence, []).append(true)
            quote = quote_pairs.typographic(sentence, DICE, []) if true else corrupt(sentence)
            found.append({"quote": quote, "question": sentence})
        return json.dumps({"open_questions": found})

    result = extract(desk, text, reply)
    true_sent = sum(true for marks in sent.values() for true in marks)
    assert result.ungrounded == sum(map(len, sent.values())) - true_sent
    assert result.merged + len(result.facts) == true_sent
    assert result.unknown_citations == [9999]
    quotes = [quote for fact in result.facts for quote in fact.quotes]
    assert all(text[quote.start : quote.end] == quote.text for quote in quotes)
    kept = {fact.fields["question"] for fact in result.facts}
    assert kept <= {sentence for sentence, marks in sent.items() if all(marks)}
    assert len(sent) >= 0.9 * len(evidence), "a sentence was cut that no part holds whole"
    assert result.failed_parts == []
    assert result.spared_tokens == len(text) // 4 - result.fact_tokens


@pytest.mark.usefixtures("desk")
def test_spans_of_real_bookings_are_found() -> None:
    grounding = importlib.import_module("realdesk.runtime.grounding")
    spans = found = 0
    for row in rows("restaurant8k", 4000):
        for entity in row["entities"]:
            passage = grounding.Source(row["text"]).find(entity["value"])
            spans += 1
            found += passage is not None
    print(f"{found} of {spans} spans found")
    assert spans > 1000
    assert found / spans >= 0.98


def test_real_bookings_through_the_pipeline(desk: Path) -> None:
    chosen = [row for row in rows("restaurant8k", 2000) if row["entities"]][:200]
    text = "\n\n".join(row["text"] for row in chosen)

    def reply(stage: str, prompt: str) -> str:
        if stage == "reason":
            return "Booked [1]."
        dates = [
            {"quote": row["text"], "event": row["id"], "date": entity["value"]}
            for row in chosen
            for entity in row["entities"]
            if entity["type"] in ("date", "time") and f"\n{row['text']}\n" in prompt
        ]
        return json.dumps({"dates": dates})

    result = extract(desk, text, reply)
    wanted = {
        e["value"] for row in chosen for e in row["entities"] if e["type"] in ("date", "time")
    }
    assert result.ungrounded == 0
    kept = {fact.fields["date"] for fact in result.facts}
    assert len(kept & wanted) >= 0.9 * len(wanted)
    # A booking with a date and a time gives two facts of one subject: both stay.
    assert any(fact.contradicts for fact in result.facts)


def guess(headline: str) -> str:
    words = headline.lower().split()
    return next((label for label in ("up", "down") if label in words), "none")


@pytest.mark.slow
def test_accuracy_on_real_headlines_is_what_was_counted(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = rows("frugalgpt-headlines", 150)
    (tmp_path / "fleet.toml").write_bytes((desk / "fleet.toml").read_bytes())
    (tmp_path / "evals").mkdir()
    cases = [
        {
            "id": row["id"],
            "task": "headlines",
            "input": row["text"],
            "expect": {"contains": [f"={row['label']}="]},
            "replies": {"answer": [{"text": f"={guess(row['text'])}=", "input_tokens": 9}]},
        }
        for row in chosen
    ]
    (tmp_path / "evals" / "answer.jsonl").write_text("\n".join(map(json.dumps, cases)), "utf-8")
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["desk", "evaluate", "--recorded", "--json"])
    with pytest.raises(SystemExit):
        importlib.import_module("realdesk.cli").main()
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    good = sum(guess(row["text"]) == row["label"] for row in chosen)
    assert (task["cases"], task["good"]) == (len(chosen), good)


BATCH = """
import sys, time
from pathlib import Path
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage
from realdesk.commands.batch import run_batch

async def model(messages, _):
    import asyncio
    await asyncio.sleep(0.02)
    text = messages[0].parts[0].content
    usage = RequestUsage(input_tokens=9, output_tokens=9)
    return ModelResponse(parts=[TextPart("echo " + text)], usage=usage)

source, out = map(Path, sys.argv[1:])
sys.exit(run_batch("answer", source, out, 4, build=lambda _: FunctionModel(model)))
"""


@pytest.mark.slow
def test_a_killed_batch_goes_on_and_loses_nothing(desk: Path, tmp_path: Path) -> None:
    chosen = rows("frugalgpt-headlines", 300)
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"id": row["id"], "text": row["text"]}) for row in chosen]
    source.write_text("\n".join(lines), "utf-8")
    command = [sys.executable, "-c", BATCH, str(source), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(desk / "src"), "FLEET_ROOT": str(desk)}
    kills = 0
    for _ in range(12):
        before = out.stat().st_size if out.exists() else 0
        batch = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while batch.poll() is None and kills < 4:
            if out.exists() and out.stat().st_size > before + 8000:
                batch.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        if batch.wait(60) == 0:
            break
    assert kills == 4
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {line["id"]: line["output"] for line in found} == {
        row["id"]: f"echo {row['text']}" for row in chosen
    }
    assert len(found) == len(chosen)
