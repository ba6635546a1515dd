"""A person at the end of a chain: tickets, answers, the cap, expiry, the same request again."""

import asyncio
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field, create_model

from tests.escalations import Desk, desk

__all__ = ["desk"]


class Figure(BaseModel):
    amount: int = Field(ge=0)


def test_a_caller_may_wait_for_the_person(desk: Desk) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(desk.handle, "How many vans?", wait_for_human=True)
        until = time.monotonic() + 60
        while not (open_ := desk.tickets()) and time.monotonic() < until:
            time.sleep(0.05)
        desk.command("answer", open_[0].id, "--text", "Twelve.", apart=True)
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
        assert desk.command("close", "--all", "--by", "ada", apart=True)[0] == 0
        with pytest.raises(errors.ChainExhausted):
            waiting.result(180)
    assert desk.rows("request_model, outcome, error_type")[-1] == ("human", "failed", "closed")


@pytest.mark.slow
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
            pool.submit(desk.command, "answer", ticket, "--text", p, "--by", p, apart=True)
            for p in people
        ]
        replies = [one.result() for one in asked]
    (won,) = [said for status, said in replies if status == 0]
    (lost,) = [said for status, said in replies if status == 1]
    assert lost.strip() == f"error: {ticket} is answered already, by {won['resolved_by']}"
    assert desk.rows("response_model, outcome")[-1] == (won["resolved_by"], "answered")
    assert desk.rows("outcome").count(("answered",)) == 1


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
