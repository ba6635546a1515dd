"""The person at the end of a chain: what the chain calls, and what takes that person's answers."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_core import to_json

from .errors import AnswerInvalid, ChainExhausted, Escalated, Unanswered
from .fleet import Fleet
from .inbox import HOUR_US, Ticket, Tickets, now_us
from .ledger.attempt import Attempt
from .ledger.location import Location
from .ledger.writer import Ledger
from .redaction import redact_data, redact_secrets
from .run import AskedCall, Run
from .subagent import OUTPUT_TOOL, SubAgent

POLL_S = 0.5
# How a call ended: in a completion, or with the models asked in vain and their reasons.
SETTLED = TypeAdapter[Any](ModelResponse | list[tuple[str, str]])


class Escalation:
    """The human of a workspace's chains. The tickets are opened when the first call comes."""

    def __init__(self, root: Path, _: Fleet) -> None:
        self._root = root

    @cached_property
    def tickets(self) -> Tickets:
        return Tickets(self._root)

    async def earlier(self, call: AskedCall) -> ModelResponse | None:
        """See `Human`. A closed or expired ticket does not count; an open one may raise Escalated."""
        mark = fingerprint(call)
        for ticket in self.tickets.of_request(call.stage.request.id or ""):
            if ticket.fingerprint == mark:
                return await self._answer(ticket, call)
            if end := json.loads(ticket.details).get("settled", {}).get(mark):
                result = SETTLED.validate_json(end)
                if isinstance(result, ModelResponse):
                    return result
                raise ChainExhausted(call.chain, result)
        return None

    async def answer(self, call: AskedCall) -> ModelResponse:
        """Hand a call over. Raises Escalated, or Unanswered; waits if its request says so."""
        return await self._answer(self.open_ticket(call), call)

    def open_ticket(self, call: AskedCall) -> Ticket:
        """Open a ticket for a call, or join the one of the same question. Raises Unanswered."""
        stage, run = call.stage, call.stage.run
        output: Any = stage.agent.output
        kind = output if isinstance(output, type) else Any  # a list of something has no name
        details = {
            "messages": call.messages,
            "parameters": call.parameters,
            "source": stage.source,
            "data_class": run.request.data_class,
            "attempts": call.rows,
            "chain": call.chain,
            "labels": stage.labels,
            # The answer's row follows those of the call and the one that says "escalated".
            "row": {"call_id": call.id, "attempt": len(call.rows) + 2},
        }
        asked = Ticket(
            fingerprint=fingerprint(call),
            expires_us=now_us() + int(self.tickets.settings.expires_h * HOUR_US),
            stage=stage.name,
            question=redact_secrets(call.question),
            details=to_json(
                redact_data(json.loads(to_json(details, bytes_mode="base64")))
            ).decode(),
            output_type="" if output is str else f"{kind.__module__}:{kind.__qualname__}",
        )
        ticket = self.tickets.open(asked, run.request.id or run.id)
        self.keep(run, ticket.id)
        return ticket

    def keep(self, run: Run, ticket: str) -> None:
        """Keep with a ticket what its run got elsewhere, for when the request comes again."""
        ends = {
            fingerprint(call): redact_secrets(SETTLED.dump_json(end).decode())
            for call, end in run.settled
        }
        self.tickets.settle(ticket, ends)

    def erase(self, user_ref: str) -> int:
        """Delete a user's tickets, whoever else waits for them; return how many."""
        with closing(Tickets(self._root)) as tickets:
            return len(tickets.erase(user_ref))

    async def aclose(self) -> None:
        """Close the file, if it was opened."""
        if "tickets" in self.__dict__:
            self.tickets.close()

    async def _answer(self, ticket: Ticket, call: AskedCall) -> ModelResponse:
        run = call.stage.run
        while ticket.state == "open":
            left = run.deadline - time.monotonic()
            if left <= 0 or not run.request.wait_for_human:
                raise Escalated(ticket.id)
            await asyncio.sleep(min(POLL_S, left))
            if ticket.expires_us < now_us():
                self.tickets.tidy()
            ticket = self.tickets.get(ticket.id)
        if ticket.answer is None:
            problem = f"Ticket {ticket.id} was {ticket.state} without an answer"
            raise Unanswered(ticket.state, problem, "ask again")
        if json.loads(ticket.details).get("unbooked"):  # who answered it was killed before
            await _record(self.tickets, [ticket], call.ledger)
        typed = ticket.output_type and ticket.answer.startswith("{")  # what a tool can be given
        part = ToolCallPart(OUTPUT_TOOL, ticket.answer) if typed else TextPart(ticket.answer)
        return ModelResponse([part], model_name="human", provider_name="human")


human = Escalation


async def accept(
    tickets: Tickets, ticket: Ticket, text: str, by: str, location: Location
) -> Ticket:
    """Take a person's answer and record it. Raises AnswerInvalid, or FleetError if it is too late."""
    text = validate_answer(ticket, text)
    ledger = Ledger(location)
    try:
        (ticket,) = tickets.resolve([ticket], "answered", by, text, unrecorded=True)
        # Also the answers of processes that were killed before they recorded them.
        await _record(tickets, tickets.find_unrecorded(), ledger)
    finally:
        ledger.close()
    return ticket


async def _record(tickets: Tickets, answered: Sequence[Ticket], ledger: Ledger) -> None:
    """Write answers of persons to the ledger; what is in it already stays as it is."""
    await ledger.write([_row(ticket, json.loads(ticket.details)) for ticket in answered])
    await ledger.ready()  # else they would be in the memory of a process that ends
    tickets.note_recorded(answered)


def _row(ticket: Ticket, details: dict[str, Any]) -> Attempt:
    """Return the row of a person's answer."""
    return Attempt(
        **details["row"],
        **details["labels"],
        ts_us=ticket.resolved_us or 0,
        latency_ms=((ticket.resolved_us or 0) - ticket.opened_us) // 1000,
        chain=details["chain"],
        provider="human",
        request_model="human",
        response_model=ticket.resolved_by,
        outcome="answered",
        quality_source="human",
    )


def validate_answer(ticket: Ticket, text: str) -> str:
    """Return an answer as its stage can use it: text, or JSON of the stage's type."""
    agent, text = SubAgent(ticket.stage, output_type(ticket)), text.strip()
    if not text:
        raise AnswerInvalid("An answer needs a text")
    try:
        return write_answer(agent.parse(ModelResponse(parts=[TextPart(text)])), agent)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "All of it"
        raise AnswerInvalid(f"{place}: {wrong['msg']}", "the answer is JSON, see `show`") from None


def output_type(ticket: Ticket) -> type[Any]:
    """Return the type of an answer; `dict` where the code makes that type as it runs."""
    try:
        return resolve_name(ticket.output_type or "builtins:str")
    except (ImportError, AttributeError):
        return dict


def write_answer(answer: Any, agent: SubAgent[Any]) -> str:
    """Write an answer as its ticket keeps it: text, or JSON."""
    return answer if agent.output is str else to_json(answer, round_trip=True).decode()


def fingerprint(call: AskedCall) -> str:
    """Hash the stage and words of a question, without times: the same whenever it is asked."""
    words = [
        (getattr(asked, "instructions", ""), [getattr(part, "content", "") for part in asked.parts])
        for asked in call.messages
    ]
    text = json.dumps([call.stage.name, call.chain, words], default=repr)
    return sha256(text.encode()).hexdigest()[:32]
