"""The inbox and its command: which ticket is meant, who was faster, what is shown and kept."""

import argparse
import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tickets_desk import TicketsDesk

from desk.commands import escalations
from desk.diagnoses import DIAGNOSES, escalation
from desk.runtime.errors import ChainExhausted, FleetError, LedgerError
from desk.runtime.escalation import accept
from desk.runtime.fleet import load
from desk.runtime.inbox import Tickets


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> TicketsDesk:
    return TicketsDesk(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("key", "wrong", "shown"),
    [
        ("max_open", "max_opn", r"escalation\.max_opn: unknown key.*did you mean 'max_open'"),
        ("expires_h = ", "expires_h = -", r"escalation\.expires_h"),
    ],
)
def test_a_wrong_table_is_found_before_a_person_is_asked(
    desk: TicketsDesk, key: str, wrong: str, shown: str
) -> None:
    assert escalation.diagnose in DIAGNOSES
    path = desk.root / "fleet.toml"
    assert not list(escalation.diagnose(desk.root, load(path)))
    path.write_text(path.read_text("utf-8").replace(key, wrong), "utf-8")
    (error,) = escalation.diagnose(desk.root, load(path))
    with pytest.raises(FleetError, match=shown):
        raise error


def test_an_id_is_not_a_pattern(desk: TicketsDesk) -> None:
    ticket = desk.ask("How many vans?").ticket
    with desk.inbox() as tickets:
        for wrong in ("%", "_", f"%{ticket[-3:]}", "", "x" + ticket):
            with pytest.raises(FleetError, match="is not a ticket"):
                tickets.get(wrong)
        assert tickets.get(ticket[-8:]).id == tickets.get(ticket).id == ticket


def test_a_ticket_that_expired_while_somebody_wrote_is_not_answered(
    desk: TicketsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.set(expires_h=1)
    desk.ask("How many vans?")
    with desk.inbox() as tickets:
        (ticket,) = tickets.select()
        later = time.time_ns() + 3_600_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: later)
        accepted = accept(tickets, ticket, "Twelve.", "ada", desk.location)
        with pytest.raises(FleetError, match="expired already"):
            asyncio.run(accepted)
    assert ("answered",) not in desk.rows("outcome")


def test_an_answer_that_cannot_be_recorded_is_not_taken(
    desk: TicketsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ask("How many vans?")
    with desk.inbox() as tickets:
        (ticket,) = tickets.select()
        monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{desk.root}/fleet.toml/no.sqlite3")
        accepted = accept(tickets, ticket, "Twelve.", "ada", desk.location)
        with pytest.raises(LedgerError):
            asyncio.run(accepted)
        assert tickets.get(ticket.id).state == "open"


def test_closing_many_goes_on_where_somebody_answered_one(desk: TicketsDesk) -> None:
    for n in range(3):
        desk.ask(f"Question {n}?")
    with desk.inbox() as tickets:
        chosen = tickets.select()
        tickets.resolve(chosen[1:2], "answered", "ada", "Twelve.")
        closed = tickets.resolve(chosen, "closed", "bob")
        assert {one.id for one in closed} == {chosen[0].id, chosen[2].id}
        with pytest.raises(FleetError, match=f"{chosen[0].id} is closed already, by bob"):
            tickets.resolve(chosen, "closed", "eve")
        assert tickets.resolve([], "closed", "eve") == []


def test_waiting_for_a_person_ends_with_the_requests_deadline(desk: TicketsDesk) -> None:
    started = time.monotonic()
    answer = desk.ask("How many vans?", wait_for_human=True, deadline_s=0.3)
    assert answer.status == "escalated"
    assert time.monotonic() - started < 20
    assert desk.rows("request_model, outcome")[-1] == ("human", "escalated")


def test_what_is_deleted_is_not_left_in_the_file(desk: TicketsDesk) -> None:
    ticket = desk.ask("A secret question?", id="r1").ticket
    path = desk.root / "escalations.sqlite3"
    assert b"A secret question?" in path.read_bytes()
    with desk.inbox() as tickets:
        tickets.resolve([tickets.get(ticket)], "closed", "ada")
    desk.set(keep_days=0.0000001)
    time.sleep(0.01)
    assert desk.tickets("all") == []
    assert b"A secret question?" not in path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM askers").fetchone() == (0,)


def test_an_unreadable_inbox_is_one_line_of_advice(desk: TicketsDesk) -> None:
    desk.ask("How many vans?")
    with desk.inbox() as tickets:
        with closing(sqlite3.connect(tickets.path)) as other:
            other.execute("DROP TABLE tickets")
        with pytest.raises(LedgerError, match=r"escalations\.sqlite3 cannot be used"):
            tickets.select()
    path = desk.root / "escalations.sqlite3"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(LedgerError, match=r"escalations\.sqlite3 cannot be opened"):
        Tickets(desk.root)


def test_who_has_no_name_is_asked_for_one(
    desk: TicketsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ask("How many vans?")
    parser = argparse.ArgumentParser()
    escalations.configure(parser)

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setenv("FLEET_ROOT", str(desk.root))
    with pytest.raises(FleetError, match="--by NAME"):
        escalations.run(parser.parse_args(["close", "--all"]))
    assert escalations.run(parser.parse_args(["close", "--all", "--by", "ada"])) == 0


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["answer", "nope", "--text", "x"], "'nope' is not a ticket"),
        (["show", "nope"], "'nope' is not a ticket"),
        (["close"], "hint: name tickets, or --stage NAME, or --all"),
        (["close", "nope", "--all"], "Tickets are named in more than one way"),
        (["close", "--all", "--stage", "answer"], "Tickets are named in more than one way"),
    ],
)
def test_a_mistake_is_a_line_and_a_line_of_advice(
    desk: TicketsDesk, words: list[str], advice: str
) -> None:
    status, said = desk.command(*words)
    assert status == 1
    first, second = said.splitlines()
    assert first.startswith("error: ") and second.startswith("hint: ")
    assert advice in said


def test_show_has_the_whole_context(desk: TicketsDesk) -> None:
    ticket = desk.ask("How many vans?").ticket
    shown = desk.command("show", ticket)[1]
    assert shown["question"] == "How many vans?"
    assert shown["details"]["messages"][0]["instructions"]
    assert len(shown["details"]["attempts"]) == 4


def test_a_deleted_inbox_is_made_anew(desk: TicketsDesk, caplog: pytest.LogCaptureFixture) -> None:
    desk.ask("How many vans?")
    tickets = Tickets(desk.root)
    try:
        (lost,) = tickets.select()
        for file in tickets.path.parent.glob("escalations*"):
            file.unlink()
        with pytest.raises(FleetError, match="see `escalations list"):
            tickets.get(lost.id)
        assert "its questions are gone with it" in caplog.text
        desk.ask("How many vans?")  # another connection's question is seen
        assert len(tickets.select()) == 1
    finally:
        tickets.close()


def test_the_same_inbox_that_comes_back_is_opened_again(desk: TicketsDesk) -> None:
    desk.ask("How many vans?")
    tickets = Tickets(desk.root)
    folder = tickets.path.parent
    away = folder.with_name("away")
    try:
        folder.rename(away)
        folder.write_text("where the folder was")
        with pytest.raises(LedgerError):
            tickets.select()
        folder.unlink()
        away.rename(folder)
        assert len(tickets.select()) == 1
    finally:
        tickets.close()


def test_the_list_shows_what_waits(
    desk: TicketsDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ticket = desk.ask("How many vans?").ticket
    parser = argparse.ArgumentParser()
    escalations.configure(parser)
    escalations.run(parser.parse_args(["list"]))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(ticket[-8:]) and line.endswith("How many vans?")
    assert desk.command("close", "--stage", "other", "--by", "ada")[1] == {"closed": []}
    assert desk.command("close", ticket, ticket, "--by", "ada")[1] == {"closed": [ticket]}
    escalations.run(parser.parse_args(["list"]))
    assert capsys.readouterr().out == "Nothing waits.\n"


def test_an_outage_does_not_flood_the_inbox(desk: TicketsDesk) -> None:
    desk.set(max_open=2)
    for at in range(2):
        desk.ask(f"Question {at}?")
    with pytest.raises(ChainExhausted, match="inbox_full"):
        desk.ask("Question 2?")
    assert desk.ask("Question 1?").status == "escalated", "the same question still joins"
    assert len(desk.tickets()) == 2
