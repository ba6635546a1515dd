"""An installed workspace, real user messages, three wire formats: routes, tokens and costs add up."""

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from scaffold import cli
from tests import evaluation
from tests.loopback import Reply, Server, serve

MESSAGES = evaluation.DATA / "labelled" / "banking77.jsonl.gz"
COUNT = 30
CHAINS = {
    "cheap": ["openai:gpt-6-luna@oa", "anthropic:claude-haiku-5-5@an"],
    "expensive": ["anthropic:claude-opus-5-5@an", "openai:gpt-6.1-sol@oa"],
    "specialist": ["google:gemini-3.8-flash@go", "openai:gpt-6.1-terra@oa"],
}
DEPLOYMENTS = {"oa": "openai", "an": "anthropic", "go": "google"}
PRICED_AS = {"openai": "openai", "anthropic": "anthropic", "google": "google"}
DRIVER = """
import asyncio, json, sys
from pathlib import Path
from desk.runtime.run import Request
from desk.workspace import Workspace

async def main():
    async with Workspace.open(Path.cwd()) as workspace:
        for text in json.load(sys.stdin):
            answer = await workspace.handle(Request(text))
            message = [answer.route.chain, answer.route.agent, answer.output, answer.cost_nano_usd, answer.run_id]
            print(json.dumps(message))

asyncio.run(main())
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.installs,
    evaluation.needs(MESSAGES),
]


def messages() -> list[str]:
    with gzip.open(MESSAGES, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line, _ in zip(lines, range(COUNT), strict=False)]


def verdict(at: int) -> Reply:
    """Every third request is easy, hard, or for the sub-agent."""
    answer = {
        "intent": "cards" if at % 3 == 2 else "answer",
        "complexity": (1, 5, 2)[at % 3],
        "confidence": 0.95,
        "reason": "as it says",
    }
    return Reply(answer=answer, input_tokens=300 + at, cached_tokens=200, output_tokens=40)


def spoken(at: int) -> Reply:
    return Reply(
        text=f"Answer {at}.", input_tokens=900 + at, cached_tokens=10 * at, output_tokens=99
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        first = [
            reply for at in range(COUNT) for reply in (verdict(at), *([spoken(at)] * (at % 3 == 0)))
        ]
        running.script = {
            "gpt-6-luna": first,
            # The first hard request finds its provider down.
            "claude-opus-5-5": [Reply(status=503), *(spoken(at) for at in range(4, COUNT, 3))],
            "gpt-6.1-sol": [spoken(1)],
            "gemini-3.8-flash": [spoken(at) for at in range(2, COUNT, 3)],
        }
        yield running


@pytest.fixture(scope="module")
def answers(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("real") / "desk"
    agents = [
        {"name": "cards", "description": "Lost, late and broken cards", "chain": "specialist"}
    ]
    given = {"providers": list(DEPLOYMENTS.values()), "chains": CHAINS, "agents": agents}
    words = [
        word for key, value in given.items() for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    assert cli.run(["new", str(folder), "--no-git", *words]) == 0
    point_at(folder / "fleet.toml", server)
    return folder, [json.loads(line) for line in drive(folder).splitlines()]


def point_at(fleet: Path, server: Server) -> None:
    text = fleet.read_text("utf-8")
    for name, provider in DEPLOYMENTS.items():
        table = re.compile(rf"^\[deployments\.{name}\].*\n", re.MULTILINE)
        text, found = table.subn(rf'\g<0>base_url = "{server.url(provider)}"\n', text)
        assert found == 1
    fleet.write_text(text, "utf-8")


def drive(folder: Path) -> str:
    (folder / "driver.py").write_text(DRIVER)
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"}
    keys = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x", "GOOGLE_API_KEY": "x"}
    environment = {k: v for k, v in os.environ.items() if k not in ours} | keys
    done = subprocess.run(
        [sys.executable, "-m", "uv", "run", "--quiet", "python", "driver.py"],
        cwd=folder,
        env=environment,
        input=json.dumps(messages()),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "data" / "ledger.sqlite3")) as database:
        return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()


def test_every_message_takes_its_route(answers: tuple[Path, list[Any]]) -> None:
    routes = [(chain, agent, output) for chain, agent, output, _, _ in answers[1]]
    expected = [("cheap", "answer"), ("expensive", "answer"), ("specialist", "cards")]
    assert routes == [(*expected[at % 3], f"Answer {at}.") for at in range(COUNT)]


def test_the_server_saw_each_message_and_nothing_twice(
    answers: tuple[Path, list[Any]], server: Server
) -> None:
    attempted = [row[0] for row in rows(answers[0], "request_model")]
    assert server.models() == attempted
    assert attempted.count("claude-opus-5-5") == COUNT // 3
    bodies = [json.dumps(one.body, ensure_ascii=False) for one in server.seen]
    for text in messages():
        assert sum(json.dumps(text, ensure_ascii=False)[1:-1] in body for body in bodies) >= 2


def test_tokens_and_costs_are_what_the_server_sent(answers: tuple[Path, list[Any]]) -> None:
    columns = (
        "stage, provider, request_model, outcome, input_tokens, output_tokens,"
        " cache_read_input_tokens, reasoning_output_tokens, cost_nano_usd, cost_source"
    )
    sent = _send()
    for row in rows(answers[0], columns):
        stage, provider, model, outcome, *counted, cost, source = row
        if outcome == "failed":
            assert counted == [None] * 4
            continue
        reply = next(sent[stage, model])
        assert counted[:3] == [reply.input_tokens, reply.output_tokens, reply.cached_tokens]
        thought = reply.reasoning_tokens if provider in ("openai", "google") else 0
        assert (counted[3] or 0) == thought
        usage = Usage(
            input_tokens=counted[0], cache_read_tokens=counted[2], output_tokens=counted[1]
        )
        price = calc_price(usage, model, provider_id=PRICED_AS[provider])
        assert cost == round(price.total_price * 10**9)
        assert source == "list"


def _send() -> dict[tuple[str, str], Iterator[Reply]]:
    def at(numbers: Sequence[int]) -> Iterator[Reply]:
        return iter([spoken(number) for number in numbers])

    return {
        ("classify", "gpt-6-luna"): iter([verdict(number) for number in range(COUNT)]),
        ("answer", "gpt-6-luna"): at(range(0, COUNT, 3)),
        ("answer", "claude-opus-5-5"): at(range(4, COUNT, 3)),
        ("answer", "gpt-6.1-sol"): at([1]),
        ("cards", "gemini-3.8-flash"): at(range(2, COUNT, 3)),
    }


def test_a_run_costs_the_sum_of_its_attempts(answers: tuple[Path, list[Any]]) -> None:
    booked: dict[str, int] = {}
    for run, cost in rows(answers[0], "run_id, cost_nano_usd"):
        booked[run] = booked.get(run, 0) + (cost or 0)
    assert {run: cost for _, _, _, cost, run in answers[1]} == booked


def test_the_fallback_is_in_the_ledger(answers: tuple[Path, list[Any]]) -> None:
    failed = [row for row in rows(answers[0], "outcome, error_type, request_model") if row[1]]
    assert failed == [("failed", "overloaded", "claude-opus-5-5")]
    fallback = rows(answers[0], "fallback_from, request_model")
    assert ("claude-opus-5-5", "gpt-6.1-sol") in fallback
