"""The inbox and its command: which ticket is meant, who was faster, what is told and kept."""

import argparse
import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from tests.escalations import Desk, desk

__all__ = ["desk"]


def test_an_id_is_no_pattern(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    error = desk.module("runtime.errors").FleetError
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        for wrong in ("%", "_", f"%{ticket[-3:]}", "", "x" + ticket):
            with pytest.raises(error, match="is not a ticket"):
                tickets.get(wrong)
        assert tickets.get(ticket[-8:]).id == tickets.get(ticket).id == ticket


def test_a_ticket_that_expired_while_somebody_wrote_is_not_answered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.settle(expires_h=1)
    desk.handle("How many vans?")
    with closing(desk.module("runtime.inbox").Tickets(desk.root)) as tickets:
        (ticket,) = tickets.select()
        later = time.time_ns() + 3_600_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: later)
        accepted = desk.module("runtime.escalation").accept(
            tickets, ticket, "Twelve.", "ada", desk.ledger()
        )
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
        accepted = desk.module("runtime.escalation").accept(
            tickets, ticket, "Twelve.", "ada", desk.ledger()
        )
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
                await escalation.ask_again(tickets, tickets.get(ticket.id), workspace.start)

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
                await escalation.ask_again(tickets, ticket, partial(start, workspace))

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
        (["answer", "nope", "--text", "x"], "'nope' is not a ticket"),
        (["show", "nope"], "'nope' is not a ticket"),
        (["close"], "hint: name tickets, or --stage NAME, or --all"),
    ],
)
def test_a_mistake_is_a_line_and_a_line_of_advice(desk: Desk, words: list[str], told: str) -> None:
    status, said = desk.command(*words)
    assert status == 1
    assert told in said
    first, second = said.splitlines()
    assert first.startswith("error: ") and second.startswith("hint: ")


def test_show_has_the_whole_context(desk: Desk) -> None:
    ticket = desk.handle("How many vans?").ticket
    shown = desk.command("show", ticket)[1]
    assert shown["question"] == "How many vans?"
    assert shown["details"]["messages"][0]["instructions"]
    assert len(shown["details"]["attempts"]) == 4


def test_a_deleted_inbox_is_made_anew(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.handle("How many vans?")
    tickets = desk.module("runtime.inbox").Tickets(desk.root)
    try:
        (lost,) = tickets.select()
        for file in tickets.path.parent.glob("escalations*"):
            file.unlink()
        with pytest.raises(desk.module("runtime.errors").FleetError, match="see `escalations list"):
            tickets.get(lost.id)
        assert "its questions are gone with it" in caplog.text
        desk.handle("How many vans?")  # another connection's question is seen
        assert len(tickets.select()) == 1
    finally:
        tickets.close()


def test_the_same_inbox_that_comes_back_is_opened_again(desk: Desk) -> None:
    desk.handle("How many vans?")
    tickets = desk.module("runtime.inbox").Tickets(desk.root)
    folder = tickets.path.parent
    away = folder.with_name("away")
    try:
        folder.rename(away)
        folder.write_text("where the folder was")
        with pytest.raises(desk.module("runtime.errors").LedgerError):
            tickets.select()
        folder.unlink()
        away.rename(folder)
        assert len(tickets.select()) == 1
    finally:
        tickets.close()
