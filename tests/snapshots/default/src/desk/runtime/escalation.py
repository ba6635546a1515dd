"""The person at the end of a chain: what the chain calls, and what takes that person's answers.

A notification never holds a question: texts stay in the workspace.
"""

import asyncio
import json
import logging
import os
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_core import to_json

from .errors import AnswerInvalid, ChainExhausted, Escalated, FleetError, LedgerError, Unanswered
from .fleet import Fleet
from .inbox import HOUR_US, Ticket, Tickets, now_us
from .ledger.attempt import Attempt
from .ledger.location import Location
from .ledger.writer import Ledger
from .redaction import redact_data, redact_secrets
from .request import Request
from .run import AskedCall, Run
from .subagent import OUTPUT_TOOL, SubAgent

log = logging.getLogger(__name__)

WEBHOOK = "FLEET_ESCALATION_WEBHOOK"
POLL_S = 0.5
TRY_AGAIN_S = (0, 1, 5, 30, 120, 600)
# How a call ended: in a completion, or with the models asked in vain and their reasons.
SETTLED = TypeAdapter[Any](ModelResponse | list[tuple[str, str]])


class Escalation:
    """The human of a workspace's chains. The tickets are opened when the first call comes."""

    def __init__(self, root: Path, _: Fleet) -> None:
        self._root = root
        self._telling: asyncio.Task[None] | None = None

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
        url = os.environ.get(WEBHOOK)
        if url and ticket.told_us is None and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(url))
        return await self._answer(ticket, call)

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
        """Give a notification two seconds more, then close the file."""
        if self._telling:
            with suppress(TimeoutError, LedgerError):
                await asyncio.wait_for(self._telling, 2)
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
            await _book(self.tickets, [ticket], call.ledger)
        typed = ticket.output_type and ticket.answer.startswith("{")  # what a tool can be given
        part = ToolCallPart(OUTPUT_TOOL, ticket.answer) if typed else TextPart(ticket.answer)
        return ModelResponse([part], model_name="human", provider_name="human")

    async def _tell(self, url: str) -> None:
        """Notify of all new tickets in one message; later again when it fails."""
        for pause in TRY_AGAIN_S:
            await asyncio.sleep(pause)
            unsent = [ticket for ticket in self.tickets.select() if ticket.told_us is None]
            if not unsent:
                return
            if failed := await _post(url, unsent):
                log.warning("%s did not take a notification: %s", WEBHOOK, failed)
            else:
                self.tickets.note_notified(unsent)


human = Escalation


async def accept(
    tickets: Tickets, ticket: Ticket, text: str, by: str, location: Location
) -> Ticket:
    """Take a person's answer and book it. Raises AnswerInvalid, or FleetError if it is too late."""
    text = validate_answer(ticket, text)
    ledger = Ledger(location)
    try:
        (ticket,) = tickets.resolve([ticket], "answered", by, text, unbooked=True)
        # Also the answers of processes that were killed before they booked them.
        await _book(tickets, tickets.find_unbooked(), ledger)
    finally:
        ledger.close()
    return ticket


async def _book(tickets: Tickets, answered: Sequence[Ticket], ledger: Ledger) -> None:
    """Write answers of persons to the ledger; what is in it already stays as it is."""
    await ledger.write([_row(ticket, json.loads(ticket.details)) for ticket in answered])
    await ledger.ready()  # else they would be in the memory of a process that ends
    tickets.note_booked(answered)


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


async def ask_again(tickets: Tickets, ticket: Ticket, start: Callable[[Request], Run]) -> None:
    """Ask a ticket's chain once more and take its answer. Raises FleetError: it stays open."""
    details, output = json.loads(ticket.details), output_type(ticket)
    if ticket.state != "open":
        raise FleetError(f"{ticket.id} is {ticket.state} already, by {ticket.resolved_by}")
    if details["parameters"]["function_tools"] or output in (dict, Any):
        raise FleetError(f"{ticket.id} cannot be asked alone", "send its request again")
    labels = details["labels"]
    request = Request(
        ticket.question,
        ModelMessagesTypeAdapter.validate_python(details["messages"][:-1]),
        user_ref=labels["user_ref"],
        tags=json.loads(labels["tags"]),
        data_class=details["data_class"],
    )
    run = start(request)
    run.id, run.pipeline = labels["run_id"], labels["pipeline"]
    known = run.agents.get(ticket.stage)
    agent = SubAgent(ticket.stage, output, checks=known.checks if known else (), human=False)
    answer = await run.ask(agent, request.text, chain=details["chain"], source=details["source"])
    by = run.attempts[-1].request_model
    tickets.resolve([ticket], "answered", by, _write_answer(answer, agent))


def validate_answer(ticket: Ticket, text: str) -> str:
    """Return an answer as its stage can use it: text, or JSON of the stage's type."""
    agent, text = SubAgent(ticket.stage, output_type(ticket)), text.strip()
    if not text:
        raise AnswerInvalid("An answer needs a text")
    try:
        return _write_answer(agent.parse(ModelResponse(parts=[TextPart(text)])), agent)
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


def _write_answer(answer: Any, agent: SubAgent[Any]) -> str:
    return answer if agent.output is str else to_json(answer, round_trip=True).decode()


def fingerprint(call: AskedCall) -> str:
    """Hash the stage and words of a question, without times: the same whenever it is asked."""
    words = [
        (getattr(asked, "instructions", ""), [getattr(part, "content", "") for part in asked.parts])
        for asked in call.messages
    ]
    text = json.dumps([call.stage.name, call.chain, words], default=repr)
    return sha256(text.encode()).hexdigest()[:32]


async def _post(url: str, tickets: Sequence[Ticket]) -> str:
    """Post tickets to a Slack-compatible webhook; return why it did not take them, or ""."""
    lines = [f"Waiting for a person: {len(tickets)}, see `escalations list`."]
    lines += [f"• {ticket.stage}: `escalations show {ticket.id[-8:]}`" for ticket in tickets[:10]]
    failed = Future[str]()
    # A daemon: for a thread of asyncio's pool the end of the program would wait.
    body = to_json({"text": "\n".join(lines)})
    Thread(target=_send, args=(url, body, failed), daemon=True).start()
    return await asyncio.wrap_future(failed)


def _send(url: str, body: bytes, failed: Future[str]) -> None:
    failed.set_running_or_notify_cancel()
    reason = ""
    try:
        post = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(post, timeout=10):
            pass
    except Exception as error:  # not its text: that may hold the address, which is a secret
        reason = f"{type(error).__name__}: {getattr(error, 'reason', '')}"
    failed.set_result(reason)
