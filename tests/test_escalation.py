"""A person at the end of a chain: tickets, answers, the cap, expiry, retries, the webhook."""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field, TypeAdapter, computed_field, create_model

from tests import recorded

FLEET = """
[chains.main]
models = ["first:a", "second:b"]
on_exhausted = "human"
backoff_s = 0
[stages.answer]
chain = "main"
task_type = "answering"
[escalation]
max_open = {max_open}
expires_h = {expires_h}
keep_days = {keep_days}
"""
DOWN = {"status": 503}  # both models fail, in both passes


class Figure(BaseModel):
    amount: int = Field(ge=0)


class Desk(recorded.Desk):
    """A workspace whose models all fail until its replies say otherwise."""

    def settle(self, max_open: int = 200, expires_h: float = 72, keep_days: float = 30) -> None:
        self.write(FLEET.format(max_open=max_open, expires_h=expires_h, keep_days=keep_days))

    def start(self, *replies: dict[str, Any]) -> Any:
        return self.open({"answer": replies or [DOWN]})

    def handle(self, text: str, *replies: dict[str, Any], **asked: Any) -> Any:
        """What becomes of one request, in a workspace of its own."""
        request = self.module("runtime.run").Request(text, **asked)

        async def play() -> Any:
            async with self.start(*replies) as workspace:
                return await workspace.run("answer", request)

        return asyncio.run(play())

    def command(self, *words: str, given: str = "") -> tuple[int, Any]:
        """`escalations ... --json`: its exit status, and what it printed."""
        code = (
            f"import sys; sys.path.insert(0, {str(self._source)!r}); "
            f"from {self.package}.__main__ import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "escalations", *words, "--json"],
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
            env={**os.environ, "FLEET_ROOT": str(self.root)},
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    @property
    def _source(self) -> Path:
        return Path(self.module("workspace").__file__).parents[1]

    def tickets(self, state: str = "open") -> list[Any]:
        tickets = self.module("runtime.inbox").Tickets(self.root)
        try:
            return tickets.select(state)
        finally:
            tickets.close()


@pytest.fixture
def desk(every_provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    monkeypatch.delenv("FLEET_ESCALATION_WEBHOOK", raising=False)
    desk = Desk(every_provider, tmp_path)
    desk.settle()
    return desk


def test_what_no_model_answers_becomes_a_ticket(desk: Desk) -> None:
    answer = desk.handle("How many vans?", user_ref="u1", tags={"team": "a"})
    assert (answer.status, answer.output) == ("escalated", None)
    (ticket,) = desk.tickets()
    assert (answer.ticket, ticket.question) == (ticket.id, "How many vans?")
    details = json.loads(ticket.details)
    assert [row["error_type"] for row in details["attempts"]] == ["overloaded"] * 4
    assert details["labels"]["user_ref"] == "u1"
    assert desk.rows("request_model, outcome")[-1] == ("human", "escalated")


def test_a_person_answers_and_the_ledger_has_who_and_when(desk: Desk) -> None:
    escalated = desk.handle("How many vans?", id="r1")
    status, told = desk.command("answer", escalated.ticket[-8:], "--text", "Twelve.", "--by", "ada")
    assert (status, told["state"], told["resolved_by"]) == (0, "answered", "ada")
    assert told["resolved_us"] >= told["opened_us"]
    rows = desk.rows("call_id, attempt, request_model, response_model, outcome, quality_source")
    assert rows[-1][2:] == ("human", "ada", "answered", "human")
    assert [row[1] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert len({row[0] for row in rows}) == 1


def test_the_same_request_gets_the_answer_without_paying_again(desk: Desk) -> None:
    desk.handle("How many vans?", id="r1")
    again = desk.handle("How many vans?", id="r1")
    (ticket,) = desk.tickets()
    assert (again.status, again.ticket, ticket.asked) == ("escalated", ticket.id, 1)
    before = [row for row in desk.rows("request_model") if row != ("human",)]
    desk.command("answer", ticket.id, given="Twelve.")
    answered = desk.handle("How many vans?", id="r1")
    assert (answered.status, answered.output) == ("answered", "Twelve.")
    assert [row for row in desk.rows("request_model") if row != ("human",)] == before
    assert desk.rows("outcome").count(("answered",)) == 1


def test_another_question_of_the_same_request_is_another_ticket(desk: Desk) -> None:
    desk.handle("How many vans?", id="r1")
    desk.handle("How many ships?", id="r1")
    assert len(desk.tickets()) == 2


def test_a_caller_may_wait_for_the_person(desk: Desk) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(desk.handle, "How many vans?", wait_for_human=True)
        until = time.monotonic() + 60
        while not (open_ := desk.tickets()) and time.monotonic() < until:
            time.sleep(0.05)
        desk.command("answer", open_[0].id, "--text", "Twelve.")
        answer = waiting.result(180)
    assert (answer.status, answer.output) == ("answered", "Twelve.")
    assert desk.rows("outcome").count(("answered",)) == 1
    assert ("escalated",) not in desk.rows("outcome")


def test_waiting_ends_when_the_ticket_is_closed(desk: Desk) -> None:
    errors = desk.module("runtime.errors")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(desk.handle, "How many vans?", wait_for_human=True)
        until = time.monotonic() + 60
        while not desk.tickets() and time.monotonic() < until:
            time.sleep(0.05)
        assert desk.command("close", "--all", "--by", "ada")[0] == 0
        with pytest.raises(errors.ChainExhausted):
            waiting.result(180)
    assert desk.rows("request_model, outcome, error_type")[-1] == ("human", "failed", "closed")


def test_a_typed_answer_has_to_fit(desk: Desk) -> None:
    run = desk.module("runtime.run")
    agent = run.SubAgent("answer", Figure)

    async def ask() -> Any:
        async with desk.start() as workspace:
            return await workspace.start(run.Request("Amount?", id="r1")).ask(agent, "Amount?")

    with pytest.raises(desk.module("runtime.errors").Escalated):
        asyncio.run(ask())
    (ticket,) = desk.tickets()
    assert ticket.output_type == f"{__name__}:Figure"
    escalation = desk.module("runtime.escalation")
    for wrong in ("twelve", '{"amount": -1}', "{}", "   "):
        with pytest.raises(desk.module("runtime.errors").AnswerInvalid):
            escalation.validated(ticket, wrong)
    tickets = desk.module("runtime.inbox").Tickets(desk.root)
    tickets.resolve([ticket], "answered", "ada", escalation.validated(ticket, '{"amount": 12}'))
    tickets.close()
    assert asyncio.run(ask()) == Figure(amount=12)


def test_an_answer_comes_once(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    assert desk.command("answer", ticket, "--text", "Twelve.", "--by", "ada")[0] == 0
    status, told = desk.command("answer", ticket, "--text", "Ten.", "--by", "bob")
    assert status == 1
    assert told.strip() == f"{ticket} is answered already, by ada."
    assert desk.rows("outcome").count(("answered",)) == 1


def test_one_question_asked_often_is_one_ticket(desk: Desk) -> None:
    for _ in range(5):
        desk.handle("How many vans?")
    (ticket,) = desk.tickets()
    assert ticket.asked == 5


def test_an_outage_does_not_flood_the_inbox(desk: Desk) -> None:
    desk.settle(max_open=3)
    run, errors = desk.module("runtime.run"), desk.module("runtime.errors")

    async def outage() -> list[Any]:
        async with desk.start() as workspace:
            asked = [workspace.run("answer", run.Request(f"Question {n}?")) for n in range(40)]
            return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(outage())
    assert len(desk.tickets()) == 3
    refused = [one for one in results if isinstance(one, errors.ChainExhausted)]
    assert len(refused) == 37
    assert "inbox_full" in str(refused[0])
    assert desk.rows("error_type").count(("inbox_full",)) == 37
    known = desk.tickets()[0].question
    assert desk.handle(known).status == "escalated", "the same question still joins"


def test_open_tickets_expire_and_the_next_request_asks_the_models(desk: Desk) -> None:
    desk.settle(expires_h=0.0000001)
    desk.handle("How many vans?", id="r1")
    time.sleep(0.01)
    assert desk.command("list")[1] == {"tickets": []}
    (ticket,) = desk.tickets("expired")
    assert ticket.resolved_by == "expiry"
    good = {"text": "Twelve.", "input_tokens": 1, "output_tokens": 1}
    assert desk.handle("How many vans?", good, id="r1").output == "Twelve."


def test_what_is_resolved_is_deleted_in_time(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    assert desk.command("close", ticket)[0] == 0
    assert [one.id for one in desk.tickets("all")] == [ticket]
    desk.settle(keep_days=0.0000001)
    time.sleep(0.01)
    assert desk.tickets("all") == []


@pytest.mark.slow
def test_close_in_bulk(desk: Desk) -> None:
    for n in range(3):
        desk.handle(f"Question {n}?")
    assert desk.command("close", "--stage", "other")[1]["closed"] == []
    closed = desk.command("close", "--stage", "answer", "--by", "ada")[1]["closed"]
    assert closed == [ticket.id for ticket in desk.tickets("closed")]
    assert len(closed) == 3
    assert desk.tickets() == []


def test_two_answers_at_once_and_one_wins(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    people = ("ada", "bob")
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(desk.command, "answer", ticket, "--text", p, "--by", p) for p in people
        ]
        told = [one.result() for one in asked]
    (won,) = [said for status, said in told if status == 0]
    (lost,) = [said for status, said in told if status == 1]
    assert lost.strip() == f"{ticket} is answered already, by {won['resolved_by']}."
    assert desk.rows("response_model, outcome")[-1] == (won["resolved_by"], "answered")
    assert desk.rows("outcome").count(("answered",)) == 1


def test_a_full_inbox_has_room_again_when_tickets_expire(desk: Desk) -> None:
    desk.settle(max_open=1, expires_h=0.0000001)
    run = desk.module("runtime.run")

    async def ask() -> list[str]:
        told: list[str] = []
        async with desk.start() as workspace:
            for n in range(3):
                told.append((await workspace.run("answer", run.Request(f"Question {n}?"))).status)
                await asyncio.sleep(0.01)
        return told

    assert asyncio.run(ask()) == ["escalated"] * 3


@pytest.mark.slow
def test_a_typed_answer_of_a_type_made_as_the_code_runs(desk: Desk) -> None:
    run = desk.module("runtime.run")
    agent = run.SubAgent("answer", create_model("Made", amount=(int, ...)))

    async def ask() -> Any:
        async with desk.start() as workspace:
            return await workspace.start(run.Request("Amount?", id="r1")).ask(agent, "Amount?")

    with pytest.raises(desk.module("runtime.errors").Escalated):
        asyncio.run(ask())
    (ticket,) = desk.tickets()
    assert desk.command("answer", ticket.id, "--text", "twelve")[0] == 1
    assert desk.command("answer", ticket.id, "--text", '{"amount": 12}')[0] == 0
    assert asyncio.run(ask()).amount == 12


class Brief(NamedTuple):
    """Stands for a sub-agent whose prompt nobody edits."""

    answer: Any
    count: Any


def brief(desk: Desk) -> Brief:
    run = desk.module("runtime.run")

    class Agent(run.SubAgent):
        def prompt(self) -> str:
            return "Be brief."

    return Brief(Agent("answer", str), Agent("count", str))


@pytest.mark.slow
def test_an_inbox_of_the_fourth_release_goes_on(desk: Desk) -> None:
    """It holds the tickets of two requests; a model had answered r1's first stage."""
    with closing(sqlite3.connect(desk.root / "escalations.sqlite3")) as old:
        old.executescript((Path(__file__).parent / "inbox_v040.sql").read_text())
        old.execute("UPDATE tickets SET expires_us = ?", (time.time_ns() // 1000 + 10**9,))
        old.commit()
    counted, amount = desk.tickets()
    assert desk.command("show", amount.id[-8:])[1]["question"] == "Amount?"
    assert desk.command("answer", amount.id, "--text", '{"amount": -1}')[0] == 1
    assert desk.command("answer", amount.id, "--text", '{"amount": 12}')[0] == 0
    assert desk.command("answer", counted.id, "--text", "Twelve, says Ada.", "--by", "ada")[0] == 0
    agents, run = brief(desk), desk.module("runtime.run")

    async def ask() -> list[Any]:
        async with desk.start() as workspace:
            first = workspace.start(run.Request("How many vans?", id="r1"))
            count = await first.ask(agents.count, "Count the vans.", chain="main")
            return [count, await first.ask(agents.answer, f"How many vans? {count}")]

    assert asyncio.run(ask()) == ["Twelve.", "Twelve, says Ada."]
    booked = "call_id, attempt, response_model, outcome, user_ref, task_type"
    call = "01a21395874aabe68b05ca19582b4522"
    assert desk.rows(booked)[-1] == (call, 4, "ada", "answered", "u1", "answering")
    assert desk.handle("How many ships?").status == "escalated"


V030 = """
CREATE TABLE tickets (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    opened_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, asked INTEGER NOT NULL,
    stage TEXT NOT NULL, question TEXT NOT NULL, details TEXT NOT NULL,
    output_type TEXT NOT NULL, answer TEXT, resolved_by TEXT, resolved_us INTEGER, told_us INTEGER
) STRICT;
CREATE UNIQUE INDEX open_once ON tickets (fingerprint) WHERE state = 'open';
CREATE INDEX by_state ON tickets (state, opened_us);
CREATE TABLE askers (
    request_id TEXT, fingerprint TEXT, ticket TEXT, PRIMARY KEY (request_id, fingerprint)
) STRICT;
PRAGMA user_version = 1;
"""


@pytest.mark.slow
def test_tickets_of_the_third_release_are_answered(desk: Desk) -> None:
    desk.handle("How many vans?", id="r1")
    path = desk.root / "escalations.sqlite3"
    with closing(sqlite3.connect(path)) as new:
        kept = {
            name: new.execute(f"SELECT * FROM {name}").fetchall() for name in ("tickets", "askers")
        }
    for file in desk.root.glob("escalations.sqlite3*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(V030)
        for (table, rows), marks in zip(kept.items(), (14, 3), strict=True):
            old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * marks)})", rows)
        (text,) = old.execute("SELECT details FROM tickets").fetchone()
        details = json.loads(text)
        details.pop("settled", None)
        old.execute("UPDATE tickets SET details = ?", (json.dumps(details),))
        old.commit()
    ticket = desk.tickets()[0].id
    assert desk.command("show", ticket)[1]["question"] == "How many vans?"
    assert desk.command("answer", ticket, "--text", "Twelve.")[0] == 0
    assert desk.handle("How many vans?", id="r1").output == "Twelve."
    assert desk.rows("outcome")[-1] == ("answered",)


class Sized(BaseModel, extra="forbid"):
    length: int

    @computed_field
    @property
    def double(self) -> int:
        return 2 * self.length


@pytest.mark.parametrize(
    ("output", "wrong", "right"),
    [
        (list[Figure], "twelve", [{"amount": 12}]),
        (Sized, "[1]", {"length": 12}),
        (int, "twelve", 12),
    ],
)
def test_an_answer_of_any_type_is_good_when_the_request_comes_again(
    desk: Desk, output: Any, wrong: str, right: Any
) -> None:
    run, inbox = desk.module("runtime.run"), desk.module("runtime.inbox")
    escalation, errors = desk.module("runtime.escalation"), desk.module("runtime.errors")

    async def ask() -> Any:
        async with desk.start() as workspace:
            agent = run.SubAgent("answer", output)
            return await workspace.start(run.Request("Amount?", id="r1")).ask(agent, "Amount?")

    with pytest.raises(errors.Escalated):
        asyncio.run(ask())
    (ticket,) = desk.tickets()
    with pytest.raises(errors.AnswerInvalid):
        escalation.validated(ticket, wrong)
    with closing(inbox.Tickets(desk.root)) as tickets:
        asyncio.run(escalation.accept(tickets, ticket, json.dumps(right), "ada"))
    assert asyncio.run(ask()) == TypeAdapter(output).validate_python(right)


def test_an_id_is_no_pattern(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    error = desk.module("runtime.errors").FleetError
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        for wrong in ("%", "_", f"%{ticket[-3:]}", "", "x" + ticket):
            with pytest.raises(error, match="is no ticket"):
                tickets.get(wrong)
        assert tickets.get(ticket[-8:]).id == tickets.get(ticket).id == ticket


def test_a_ticket_that_expired_while_somebody_wrote_is_not_answered(desk: Desk) -> None:
    desk.settle(expires_h=0.3 / 3600)
    desk.handle("How many vans?")
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        (ticket,) = tickets.select()
        time.sleep(0.4)
        accepted = desk.module("runtime.escalation").accept(tickets, ticket, "Twelve.", "ada")
        with pytest.raises(desk.module("runtime.errors").FleetError, match="expired already"):
            asyncio.run(accepted)
    assert ("answered",) not in desk.rows("outcome")


def test_an_answer_that_cannot_be_booked_is_not_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.handle("How many vans?")
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        (ticket,) = tickets.select()
        monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{desk.root}/fleet.toml/no.sqlite3")
        accepted = desk.module("runtime.escalation").accept(tickets, ticket, "Twelve.", "ada")
        with pytest.raises(desk.module("runtime.errors").LedgerError):
            asyncio.run(accepted)
        assert tickets.get(ticket.id).state == "open"


def test_closing_many_goes_on_where_somebody_answered_one(desk: Desk) -> None:
    for n in range(3):
        desk.handle(f"Question {n}?")
    error = desk.module("runtime.errors").FleetError
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        chosen = tickets.select()
        tickets.resolve(chosen[1:2], "answered", "ada", "Twelve.")
        closed = tickets.resolve(chosen, "closed", "bob")
        assert {one.id for one in closed} == {chosen[0].id, chosen[2].id}
        with pytest.raises(error, match=f"{chosen[0].id} is closed already, by bob"):
            tickets.resolve(chosen, "closed", "eve")
        assert tickets.resolve([], "closed", "eve") == []


def test_a_resolved_ticket_is_not_asked_again(desk: Desk) -> None:
    desk.handle("How many vans?")
    (ticket,) = desk.tickets()
    escalation, errors = desk.module("runtime.escalation"), desk.module("runtime.errors")

    async def retry() -> None:
        with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
            tickets.resolve([ticket], "answered", "ada", "Twelve.")
            async with desk.start() as workspace:
                await escalation.again(tickets, tickets.get(ticket.id), workspace.start)

    before = desk.rows("outcome")
    with pytest.raises(errors.FleetError, match="is answered already, by ada"):
        asyncio.run(retry())
    assert desk.rows("outcome") == before


def test_a_retry_has_to_pass_the_checks_of_its_sub_agent(desk: Desk) -> None:
    desk.handle("How many vans?")
    (ticket,) = desk.tickets()
    run, escalation = desk.module("runtime.run"), desk.module("runtime.escalation")

    def start(workspace: Any, request: Any) -> Any:
        agent = run.SubAgent("answer", str, checks=(lambda *_: "impolite",))
        started = workspace.start(request)
        started.agents = {"answer": agent}
        return started

    async def retry() -> None:
        with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
            async with desk.start({"text": "Twelve."}, {"text": "Twelve."}) as workspace:
                await escalation.again(tickets, ticket, partial(start, workspace))

    with pytest.raises(desk.module("runtime.errors").ChainExhausted, match="impolite"):
        asyncio.run(retry())
    assert [one.id for one in desk.tickets()] == [ticket.id]


@pytest.mark.slow
def test_waiting_for_a_person_ends_with_the_requests_deadline(desk: Desk) -> None:
    started = time.monotonic()
    answer = desk.handle("How many vans?", wait_for_human=True, deadline_s=2)
    assert answer.status == "escalated"
    assert time.monotonic() - started < 20
    assert desk.rows("request_model, outcome")[-1] == ("human", "escalated")


def test_what_is_deleted_is_not_left_in_the_file(desk: Desk) -> None:
    ticket = desk.handle("A secret question?", id="r1").ticket
    path = desk.root / "escalations.sqlite3"
    assert b"A secret question?" in path.read_bytes()
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        tickets.resolve([tickets.get(ticket)], "closed", "ada")
    desk.settle(keep_days=0.0000001)
    time.sleep(0.01)
    assert desk.tickets("all") == []
    assert b"A secret question?" not in path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM askers").fetchone() == (0,)


def test_an_unreadable_inbox_is_one_line_of_advice(desk: Desk) -> None:
    desk.handle("How many vans?")
    errors, inbox = desk.module("runtime.errors"), desk.module("runtime.inbox")
    with closing(inbox.Tickets(desk.root)) as tickets:
        with closing(sqlite3.connect(tickets.path)) as other:
            other.execute("DROP TABLE tickets")
        with pytest.raises(errors.LedgerError, match=r"escalations\.sqlite3 cannot be used"):
            tickets.select()
    path = desk.root / "escalations.sqlite3"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(errors.LedgerError, match=r"escalations\.sqlite3 cannot be opened"):
        inbox.Tickets(desk.root)


def test_who_has_no_name_is_asked_for_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.handle("How many vans?")
    command = desk.module("commands.escalations")
    parser = argparse.ArgumentParser()
    command.configure(parser)

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setenv("FLEET_ROOT", str(desk.root))
    with pytest.raises(desk.module("runtime.errors").FleetError, match="--by NAME"):
        command.run(parser.parse_args(["close", "--all"]))
    assert command.run(parser.parse_args(["close", "--all", "--by", "ada"])) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["answer", "nope", "--text", "x"], "'nope' is no ticket"),
        (["show", "nope"], "'nope' is no ticket"),
        (["close"], "Name tickets, or --stage NAME, or --all."),
    ],
)
def test_a_mistake_is_one_line_of_advice(desk: Desk, words: list[str], told: str) -> None:
    status, said = desk.command(*words)
    assert status == 1
    assert told in said
    assert said.count("\n") == 1


def test_show_has_the_whole_context(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    shown = desk.command("show", ticket)[1]
    assert shown["question"] == "How many vans?"
    assert shown["details"]["messages"][0]["instructions"]
    assert len(shown["details"]["attempts"]) == 4


class Hook(ThreadingHTTPServer):
    """A webhook that fails so many times first, and answers nobody while it is not free."""

    failures = 0
    got: list[dict[str, Any]]
    free: threading.Event


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hook.free.wait(10)
        hook.failures -= 1
        self.send_response(500 if hook.failures >= 0 else 200)
        self.end_headers()
        if hook.failures < 0:
            hook.got.append(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test tells what went wrong."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook(("127.0.0.1", 0), _Receiver) as running:
        running.got, running.free = [], threading.Event()
        running.free.set()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
        yield running
        running.shutdown()
        thread.join(10)


@pytest.mark.parametrize("failures", [0, 1])
def test_a_webhook_is_told_once_without_the_question(desk: Desk, hook: Hook, failures: int) -> None:
    hook.failures = failures
    ticket = desk.handle("A secret question?").ticket
    assert len(hook.got) == 1
    assert ticket[-8:] in hook.got[0]["text"]
    assert "secret" not in json.dumps(hook.got)
    assert desk.tickets()[0].told_us


def test_many_tickets_are_one_message(desk: Desk, hook: Hook) -> None:
    run = desk.module("runtime.run")

    async def outage() -> None:
        async with desk.start() as workspace:
            asked = [workspace.run("answer", run.Request(f"Question {n}?")) for n in range(30)]
            await asyncio.gather(*asked)

    asyncio.run(outage())
    assert len(hook.got) <= 2
    assert all(ticket.told_us for ticket in desk.tickets())


def test_a_webhook_that_hangs_never_holds_a_request_up(desk: Desk, hook: Hook) -> None:
    run = desk.module("runtime.run")
    hook.free.clear()

    async def ask() -> Any:
        async with desk.start() as workspace:
            answer = await workspace.run("answer", run.Request("How many vans?"))
            assert hook.got == [], "answered before the webhook was"
            hook.free.set()
            return answer

    assert asyncio.run(ask()).status == "escalated"
    assert len(hook.got) == 1


@pytest.mark.slow
def test_a_webhook_that_is_down_is_told_by_the_next_process(
    desk: Desk, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        down.setenv("FLEET_ESCALATION_WEBHOOK", "http://127.0.0.1:9/")
        first = desk.handle("How many vans?").ticket
    assert desk.tickets()[0].told_us is None
    second = desk.handle("How many ships?").ticket
    assert first[-8:] in hook.got[0]["text"]
    assert second[-8:] in hook.got[0]["text"]
    assert all(ticket.told_us for ticket in desk.tickets())


@pytest.mark.slow
def test_a_webhook_that_never_answers_does_not_hold_up_the_end(desk: Desk, hook: Hook) -> None:
    hook.free.clear()
    started = time.monotonic()
    assert desk.handle("How many vans?").status == "escalated"
    took = time.monotonic() - started
    hook.free.set()
    assert took < 8, "it would be let go after ten seconds"


@pytest.mark.slow
@pytest.mark.parametrize("reply", [b"no HTTP at all\r\n\r\n", b""])
def test_a_webhook_that_is_none_costs_no_answer(
    desk: Desk, reply: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def serve(listening: socket.socket) -> None:
        for _ in range(2):  # at once, and a second later
            with listening.accept()[0] as taken:
                taken.recv(65536)
                taken.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        listening.settimeout(20)
        pool.submit(serve, listening)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/services/T0/SECRET"
        monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
        assert desk.handle("How many vans?").status == "escalated"
    assert "did not take a notification" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("url", ["hooks.example/T0/SECRET", "http://127.0.0.1:9/T0/SEC RET\n"])
def test_the_address_of_a_webhook_is_not_logged(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
    assert desk.handle("How many vans?").status == "escalated"
    assert "did not take a notification" in caplog.text
    assert "T0" not in caplog.text
