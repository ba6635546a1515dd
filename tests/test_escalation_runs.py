"""A person in runs of several stages, over a server on loopback: nothing is paid for twice."""

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scaffold.catalog.catalog import Catalog
from scaffold.rendering.render import render
from tests import commands, fleets
from tests.conftest import ROOT
from tests.fleets import loopback
from tests.loopback import Reply, Server
from tests.specs import complete

__all__ = ["loopback"]

SMALL, BIG = "gpt-5-nano", "gpt-5-mini"
DOWN = [Reply(status=503)]
HARD = Reply(
    answer={"intent": "answer", "complexity": 5, "confidence": 0.9, "reason": "several parts"}
)
MARKS = {name: {"reason": "fine", "score": 0.9} for name in ("correct", "complete", "clear")}
FLEET = """
[chains.cheap]
models = ["openai:{small}@local"]
on_exhausted = "human"
backoff_s = 0
[chains.expensive]
models = ["openai:{big}@local"]
on_exhausted = "human"
backoff_s = 0
[deployments.local]
base_url = "{url}"
[stages.answer]
chain = "cheap"
task_type = "answering"
checks = {checks}
[stages.classify]
chain = "cheap"
task_type = "classification"
[stages.draft]
chain = "cheap"
task_type = "drafting"
[stages.score]
chain = "expensive"
task_type = "scoring"
[stages.polish]
chain = "expensive"
task_type = "rewriting"
[stages.extract]
chain = "cheap"
task_type = "extraction"
[stages.reason]
chain = "expensive"
task_type = "reasoning"
[draft_polish]
[extractor_reasoner]
part_chars = 500
overlap_chars = 0
"""


class Desk(fleets.Desk):
    """A workspace with a router and pipelines, whose two models are on the loopback server."""

    answer_checks = "[]"

    def write(self) -> None:
        url = self.server.url("openai")
        fleet = FLEET.format(small=SMALL, big=BIG, url=url, checks=self.answer_checks) + self.more
        (self.root / "fleet.toml").write_text(fleet)

    def play(self, use: Callable[[Any], Awaitable[Any]], build: Any = None) -> Any:
        self.write()

        async def run() -> Any:
            workspace = self.module("workspace").Workspace
            async with workspace.open(self.root, build=build) as opened:
                return await use(opened)

        return asyncio.run(run())

    def pipeline(self, name: str, text: str, **request: Any) -> Any:
        run = self.module("runtime.run")
        return self.play(lambda workspace: workspace.run(name, run.Request(text, **request)))

    def command(self, *words: str, apart: bool = False) -> tuple[int, str]:
        """Run a command, here or in a process of its own; return its status and what it printed."""
        done = (
            self._apart(*words)
            if apart
            else commands.run(self.package, *words, folder=self.root, FLEET_ROOT=str(self.root))
        )
        return done.returncode, done.stdout + done.stderr

    def _apart(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(self.module("cli").__file__).parents[1]),
        }
        return subprocess.run(
            [sys.executable, "-m", self.package, *words],
            capture_output=True,
            text=True,
            timeout=180,
            env=environment,
        )

    def answer(self, ticket: str, text: str) -> None:
        status, said = self.command("escalations", "answer", ticket, "--text", text, "--by", "ada")
        assert status == 0, said

    def cost(self) -> int:
        (found,) = self.rows("sum(cost_nano_usd)")
        return found[0]

    def forget(self) -> None:
        self.server.seen.clear()


@pytest.fixture(scope="session")
def routed(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = "routed"
    answers = {
        "providers": ["openai"],
        "patterns": ["router", "draft_polish", "extractor_reasoner"],
        "agents": [],
        "extras": [
            *(f.name for f in catalog.of("extra") if f.default),
            "agreement",
            "escalation_tools",
        ],
        "package": name,
    }
    folder = tmp_path_factory.mktemp("routed") / "desk"
    spec = complete(catalog, answers, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    sys.path.insert(0, str(folder / "src"))
    importlib.invalidate_caches()
    yield name
    sys.path.remove(str(folder / "src"))


@pytest.fixture
def desk(routed: str, loopback: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.delenv("FLEET_ESCALATION_WEBHOOK", raising=False)
    loopback.script.clear()
    loopback.seen.clear()
    return Desk(routed, loopback, tmp_path)


def test_a_routed_request_that_comes_again_is_not_classified_again(desk: Desk) -> None:
    desk.server.script.update({SMALL: [HARD], BIG: DOWN})
    first = desk.ask("How many vans, and why?", id="r1")
    assert (first.status, first.route.chain) == ("escalated", "expensive")
    assert desk.hits().count(SMALL) == 1
    paid = desk.cost()
    assert paid > 0
    desk.forget()
    assert desk.ask("How many vans, and why?", id="r1").ticket == first.ticket
    desk.answer(first.ticket, "Twelve.")
    again = desk.ask("How many vans, and why?", id="r1")
    assert (again.status, again.output, again.route) == ("answered", "Twelve.", first.route)
    assert (desk.hits(), again.cost_nano_usd, desk.cost()) == ([], 0, paid)
    assert desk.rows()[-1] == ("human", "answered", None)


def test_a_request_of_an_outage_takes_its_route_again_when_that_is_over(desk: Desk) -> None:
    desk.server.script.update({SMALL: DOWN, BIG: DOWN})
    first = desk.ask("How many vans?", id="r1")
    assert (first.status, first.route.decided_by) == ("escalated", "rule")
    desk.answer(first.ticket, "Twelve.")
    desk.server.script.clear()
    desk.forget()
    again = desk.ask("How many vans?", id="r1")
    assert (again.output, again.route) == ("Twelve.", first.route)
    assert (desk.hits(), desk.cost()) == ([], None)


def test_another_request_and_a_closed_ticket_ask_the_models(desk: Desk) -> None:
    desk.server.script.update({SMALL: [HARD], BIG: DOWN})
    ticket = desk.ask("How many vans?", id="r1").ticket
    desk.forget()
    desk.ask("How many vans?", id="r2")
    assert SMALL in desk.hits()
    assert desk.command("escalations", "close", ticket)[0] == 0
    desk.server.script.pop(BIG)
    desk.forget()
    assert desk.ask("How many vans?", id="r1").status == "answered"
    assert desk.hits() == [SMALL, BIG]


def test_a_pipeline_goes_on_from_where_a_person_answered(desk: Desk) -> None:
    desk.server.script.update({SMALL: [Reply(text="Dear Ada, twelve vans.")], BIG: DOWN})
    first = desk.pipeline("draft_polish", "Write to Ada.", id="r1")
    assert first.status == "escalated"
    paid = desk.cost()
    desk.forget()
    desk.answer(first.ticket, json.dumps(MARKS))
    again = desk.pipeline("draft_polish", "Write to Ada.", id="r1")
    assert (again.output.text, again.output.shipped) == ("Dear Ada, twelve vans.", "draft")
    assert (desk.hits(), again.cost_nano_usd, desk.cost()) == ([], 0, paid)


def test_what_comes_after_the_person_is_paid_for_once(desk: Desk) -> None:
    desk.server.script.update({SMALL: [Reply(text="Dear Ada.")], BIG: DOWN})
    first = desk.pipeline("draft_polish", "Write to Ada.", id="r1")
    low = {name: {"reason": "no", "score": 0.1} for name in MARKS}
    desk.answer(first.ticket, json.dumps(low))
    desk.forget()
    second = desk.pipeline("draft_polish", "Write to Ada.", id="r1")
    assert second.status == "escalated"
    assert second.ticket != first.ticket
    desk.answer(second.ticket, "Dear Ada, here are twelve vans.")
    desk.forget()
    last = desk.pipeline("draft_polish", "Write to Ada.", id="r1")
    assert (last.output.text, last.output.shipped) == ("Dear Ada, here are twelve vans.", "rewrite")
    assert desk.hits() == []


def test_parts_asked_at_the_same_time_are_paid_for_once(desk: Desk) -> None:
    # One of the parts fails at once; the others are answered later, after its ticket.
    slow = Reply(answer={}, delay_s=0.3)
    desk.server.script.update({SMALL: [Reply(status=400), slow], BIG: [Reply(text="Nothing.")]})
    text = "\n\n".join(f"Paragraph {n}. " + "The vans are in the yard. " * 15 for n in range(4))
    first = desk.pipeline("extractor_reasoner", text, id="r1")
    assert first.status == "escalated"
    paid = desk.cost()
    asked = len(desk.hits())
    assert asked >= 3
    desk.answer(first.ticket, "{}")
    desk.forget()
    again = desk.pipeline("extractor_reasoner", text, id="r1")
    assert again.status == "answered"
    assert (desk.hits(), desk.cost()) == ([], paid)


def test_a_budget_that_is_used_up_asks_the_person(desk: Desk) -> None:
    desk.more = '[budgets]\nmonth_usd = 0.000000001\nat_limit = "human"\n'
    assert desk.pipeline("answer", "How many vans?").status == "answered"
    desk.forget()
    first = desk.pipeline("answer", "How many ships?", id="r1")
    assert first.status == "escalated"
    assert desk.hits() == []
    assert desk.rows()[-2:] == [(SMALL, "skipped", "over_budget"), ("human", "escalated", None)]
    desk.answer(first.ticket, "Two.")
    assert desk.pipeline("answer", "How many ships?", id="r1").output == "Two."


def test_a_judge_and_a_second_opinion_cost_the_task_that_asked(desk: Desk) -> None:
    desk.answer_checks = '["judge:0.5", "agreement:expensive"]'
    verdict = Reply(answer={"score": 0.9, "reason": "none"})
    desk.server.script.update(
        {SMALL: [Reply(text="Twelve."), verdict], BIG: [Reply(text="twelve")]}
    )
    answer = desk.pipeline("answer", "How many vans?")
    assert answer.output == "Twelve."
    rows = desk.rows("stage, task_type, run_id, cost_nano_usd")
    assert {row[:3] for row in rows} == {
        (stage, "answering", answer.run_id) for stage in ("answer", "judge", "second_opinion")
    }
    assert all(row[3] > 0 for row in rows)
    assert answer.cost_nano_usd == sum(row[3] for row in rows)


@pytest.mark.slow
def test_bulk_retry_after_an_outage(desk: Desk) -> None:
    desk.server.script[SMALL] = DOWN
    tickets = [desk.pipeline("answer", f"Question {n}?", id=f"r{n}").ticket for n in range(4)]
    status, said = desk.command("escalations", "retry", "--all")
    assert (status, said.startswith("0 answered by a model, 4 not.")) == (0, True)
    assert "overloaded" in said
    desk.server.script[SMALL] = [Reply(text="Twelve.")]
    desk.forget()
    status, said = desk.command("escalations", "retry", "--all")
    assert (status, said) == (0, "4 answered by a model, 0 not.\n")
    assert desk.hits() == [SMALL] * 4
    printed = json.loads(desk.command("escalations", "list", "--state", "answered", "--json")[1])
    assert [(one["id"], one["resolved_by"]) for one in printed["tickets"]] == [
        (ticket, SMALL) for ticket in tickets
    ]
    ok = [row for row in desk.rows("outcome, task_type, stage, run_id") if row[0] == "ok"]
    asked = {row[0] for row in desk.rows("run_id") if row[0]}
    assert {row[1:3] for row in ok} == {("answering", "answer")}
    assert {row[3] for row in ok} == asked
    desk.forget()
    assert desk.pipeline("answer", "Question 2?", id="r2").output == "Twelve."
    assert desk.hits() == []


@pytest.mark.slow
def test_from_the_command_line(desk: Desk) -> None:
    desk.server.script.update({SMALL: DOWN, BIG: DOWN})
    desk.write()
    status, said = desk.command("ask", "How many vans?", "--id", "r1", apart=True)
    assert status == 0
    ticket = json.loads(desk.command("escalations", "list", "--json")[1])["tickets"][0]["id"]
    assert ticket in said
    assert "How many vans?" in desk.command("escalations", "show", ticket)[1]
    desk.answer(ticket, "Twelve.")
    desk.server.script.clear()
    desk.forget()
    status, said = desk.command("ask", "How many vans?", "--id", "r1", apart=True)
    assert (status, said.splitlines()[0]) == (0, "Twelve.")
    assert desk.hits() == []
