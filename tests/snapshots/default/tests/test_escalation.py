"""A person at the end of a chain: tickets, answers, the cap, expiry, the same request again."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, computed_field
from tickets_desk import TWELVE, TicketsDesk

from desk import Request, SubAgent
from desk.runtime.errors import AnswerInvalid, ChainExhausted, Escalated
from desk.runtime.escalation import Escalation, accept, validate_answer
from desk.runtime.fleet import Fleet
from desk.runtime.inbox import Tickets
from desk.runtime.recorded import Reply


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> TicketsDesk:
    return TicketsDesk(tmp_path, monkeypatch, capsys)


class Figure(BaseModel):
    amount: int = Field(ge=0)


def test_what_no_model_answers_becomes_a_ticket(desk: TicketsDesk) -> None:
    answer = desk.ask("How many vans?", user_ref="u1", tags={"team": "a"})
    assert (answer.status, answer.output) == ("escalated", None)
    (ticket,) = desk.tickets()
    assert (answer.ticket, ticket.question) == (ticket.id, "How many vans?")
    details = json.loads(ticket.details)
    assert [row["error_type"] for row in details["attempts"]] == ["overloaded"] * 4
    assert details["labels"]["user_ref"] == "u1"
    assert desk.rows("request_model, outcome")[-1] == ("human", "escalated")


def test_a_person_answers_and_the_ledger_has_who_and_when(desk: TicketsDesk) -> None:
    escalated = desk.ask("How many vans?", id="r1")
    status, out = desk.command("answer", escalated.ticket[-8:], "--text", "Twelve.", "--by", "ada")
    assert (status, out["state"], out["resolved_by"]) == (0, "answered", "ada")
    assert out["resolved_us"] >= out["opened_us"]
    rows = desk.rows("call_id, attempt, request_model, response_model, outcome, quality_source")
    assert rows[-1][2:] == ("human", "ada", "answered", "human")
    assert [row[1] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert len({row[0] for row in rows}) == 1


def test_the_same_request_gets_the_answer_without_paying_again(desk: TicketsDesk) -> None:
    desk.ask("How many vans?", id="r1")
    again = desk.ask("How many vans?", id="r1")
    (ticket,) = desk.tickets()
    assert (again.status, again.ticket, ticket.asked) == ("escalated", ticket.id, 1)
    before = [row for row in desk.rows("request_model") if row != ("human",)]
    desk.command("answer", ticket.id, entered="Twelve.")
    answered = desk.ask("How many vans?", id="r1")
    assert (answered.status, answered.output) == ("answered", "Twelve.")
    assert [row for row in desk.rows("request_model") if row != ("human",)] == before
    assert desk.rows("outcome").count(("answered",)) == 1


def test_another_question_of_the_same_request_is_another_ticket(desk: TicketsDesk) -> None:
    desk.ask("How many vans?", id="r1")
    desk.ask("How many ships?", id="r1")
    assert len(desk.tickets()) == 2


def test_a_typed_answer_has_to_fit(desk: TicketsDesk) -> None:
    agent = SubAgent("answer", Figure)

    async def ask() -> Any:
        async with desk.open() as workspace:
            return await workspace.start(Request("Amount?", id="r1")).ask(agent, "Amount?")

    with pytest.raises(Escalated):
        asyncio.run(ask())
    (ticket,) = desk.tickets()
    assert ticket.output_type == f"{__name__}:Figure"
    for wrong in ("twelve", '{"amount": -1}', "{}", "   "):
        with pytest.raises(AnswerInvalid):
            validate_answer(ticket, wrong)
    tickets = Tickets(desk.root)
    tickets.resolve([ticket], "answered", "ada", validate_answer(ticket, '{"amount": 12}'))
    tickets.close()
    assert asyncio.run(ask()) == Figure(amount=12)


def test_an_answer_comes_once(desk: TicketsDesk) -> None:
    ticket = desk.ask("How many vans?").ticket
    assert desk.command("answer", ticket, "--text", "Twelve.", "--by", "ada")[0] == 0
    status, reply = desk.command("answer", ticket, "--text", "Ten.", "--by", "bob")
    assert status == 1
    assert reply.strip() == f"error: {ticket} is answered already, by ada"
    assert desk.rows("outcome").count(("answered",)) == 1


def test_one_question_asked_often_is_one_ticket(desk: TicketsDesk) -> None:
    for _ in range(5):
        desk.ask("How many vans?")
    (ticket,) = desk.tickets()
    assert ticket.asked == 5


def test_open_tickets_expire_and_the_next_request_asks_the_models(desk: TicketsDesk) -> None:
    desk.set(expires_h=0.0000001)
    desk.ask("How many vans?", id="r1")
    time.sleep(0.01)
    assert desk.command("list")[1] == {"tickets": []}
    (ticket,) = desk.tickets("expired")
    assert ticket.resolved_by == "expiry"
    assert desk.ask("How many vans?", TWELVE, id="r1").output == "Twelve."


def test_what_is_resolved_is_deleted_in_time(desk: TicketsDesk) -> None:
    ticket = desk.ask("How many vans?").ticket
    assert desk.command("close", ticket)[0] == 0
    assert [one.id for one in desk.tickets("all")] == [ticket]
    desk.set(keep_days=0.0000001)
    time.sleep(0.01)
    assert desk.tickets("all") == []


@pytest.mark.parametrize("by", ["another answer", "its request"])
def test_an_answer_whose_process_was_killed_before_it_was_in_the_ledger_comes_into_it(
    desk: TicketsDesk, by: str
) -> None:
    first, second = (desk.ask(f"How many {n}?", id=n).ticket for n in ("vans", "cars"))
    tickets = Tickets(desk.root)
    tickets.resolve([tickets.get(first)], "answered", "ada", "Twelve.", unrecorded=True)
    assert ("ada",) not in desk.rows("response_model"), "where it was killed"
    if by == "its request":
        assert desk.ask("How many vans?", id="vans").output == "Twelve."
        desk.ask("How many vans?", id="vans")
    else:
        asyncio.run(accept(tickets, tickets.get(second), "Two.", "bob", desk.location))
    assert tickets.find_unrecorded() == []
    tickets.close()
    assert desk.rows("response_model").count(("ada",)) == 1


def test_a_full_inbox_has_room_again_when_tickets_expire(desk: TicketsDesk) -> None:
    desk.set(max_open=1, expires_h=0.0000001)

    async def ask() -> list[str]:
        statuses: list[str] = []
        async with desk.open() as workspace:
            for n in range(3):
                statuses.append((await workspace.run("answer", Request(f"Question {n}?"))).status)
                await asyncio.sleep(0.01)
        return statuses

    assert asyncio.run(ask()) == ["escalated"] * 3


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
    desk: TicketsDesk, output: Any, wrong: str, right: Any
) -> None:

    async def ask() -> Any:
        async with desk.open() as workspace:
            agent = SubAgent("answer", output)
            return await workspace.start(Request("Amount?", id="r1")).ask(agent, "Amount?")

    with pytest.raises(Escalated):
        asyncio.run(ask())
    (ticket,) = desk.tickets()
    with pytest.raises(AnswerInvalid):
        validate_answer(ticket, wrong)
    with desk.inbox() as tickets:
        asyncio.run(accept(tickets, ticket, json.dumps(right), "ada", desk.location))
    assert asyncio.run(ask()) == TypeAdapter(output).validate_python(right)


def test_a_caller_may_wait_for_the_person(desk: TicketsDesk) -> None:
    async def play() -> Any:
        async with desk.open() as workspace:
            request = Request("How many vans?", wait_for_human=True)
            waiting = asyncio.create_task(workspace.run("answer", request))
            while not (open_ := desk.tickets()):
                await asyncio.sleep(0.01)
            with desk.inbox() as tickets:
                await accept(tickets, open_[0], "Twelve.", "ada", desk.location)
            return await waiting

    answer = asyncio.run(play())
    assert (answer.status, answer.output) == ("answered", "Twelve.")
    assert desk.rows("outcome").count(("answered",)) == 1
    assert ("escalated",) not in desk.rows("outcome")


def test_a_waiting_caller_learns_that_the_ticket_was_closed(desk: TicketsDesk) -> None:
    async def play() -> None:
        async with desk.open() as workspace:
            request = Request("How many vans?", wait_for_human=True)
            waiting = asyncio.create_task(workspace.run("answer", request))
            while not (open_ := desk.tickets()):
                await asyncio.sleep(0.01)
            with desk.inbox() as tickets:
                tickets.resolve(open_, "closed", "ada")
            await waiting

    with pytest.raises(ChainExhausted):
        asyncio.run(play())
    assert desk.rows("request_model, outcome, error_type")[-1] == ("human", "failed", "closed")


class Brief(SubAgent[str]):
    """Stands for a sub-agent whose prompt nobody edits."""

    def prompt(self) -> str:
        return "Be brief."


def test_what_a_run_got_before_its_ticket_is_not_paid_for_again(desk: TicketsDesk) -> None:
    count, answer = Brief("count", str), Brief("answer", str)

    async def ask(*replies: Reply) -> list[str]:
        async with desk.open(*replies) as workspace:
            run = workspace.start(Request("How many vans?", id="r1"))
            first = await run.ask(answer, "Count the vans.", chain="main")
            return [first, await run.ask(count, "Say it in words.", chain="main")]

    with pytest.raises(Escalated):
        asyncio.run(ask(TWELVE))
    paid = len(desk.rows("outcome"))
    (ticket,) = desk.tickets()
    desk.command("answer", ticket.id, "--text", "a dozen", "--by", "ada")
    assert asyncio.run(ask()) == ["Twelve.", "a dozen"]
    assert len(desk.rows("outcome")) == paid + 1


def test_tickets_of_a_user_are_erased(desk: TicketsDesk) -> None:
    desk.ask("How many vans?", user_ref="u1")
    desk.ask("How many ships?", user_ref="u2")
    assert Escalation(desk.root, Fleet(chains={})).erase("u1") == 1
    assert [ticket.question for ticket in desk.tickets("all")] == ["How many ships?"]
