"""The person at the end of a chain, asked when no model has answered.

`Escalation` is what a chain calls; `accept` takes a person's answer, from the command line or
from elsewhere, and books it. A notification never holds a question: texts stay in the workspace.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_core import to_json, to_jsonable_python

from .attempt import Call
from .errors import AnswerInvalid, ChainExhausted, Escalated, Unanswered
from .fleet import Fleet
from .inbox import HOUR_US, Ticket, Tickets, now_us
from .ledger.store import Attempt, Ledger, database_path, new_id
from .run import OUTPUT_TOOL, Request, Run, SubAgent

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

    async def earlier(self, call: Call) -> ModelResponse | None:
        """What this very request got for this very call before a person was asked, or from them.

        Raises Escalated while that person has not answered, ChainExhausted where no model had;
        a closed or expired ticket is as good as none.
        """
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

    async def answer(self, call: Call) -> ModelResponse:
        """Hand a call over. Raises Escalated, or Unanswered; waits if its request says so."""
        request_id = call.stage.request.id or call.stage.run.id
        ticket = self.tickets.open(self._ticket(call), request_id)
        self.keep(call.stage.run, ticket.id)
        if ticket.told_us is None and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())
        return await self._answer(ticket, call)

    def keep(self, run: Run, ticket: str) -> None:
        """Keep with a ticket what its run got elsewhere, for when the request comes again."""
        ends = {fingerprint(call): SETTLED.dump_json(end).decode() for call, end in run.settled}
        self.tickets.settle(ticket, ends)

    async def aclose(self) -> None:
        """Give a notification two seconds more, then close the file."""
        if self._telling:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._telling, 2)
        if "tickets" in self.__dict__:
            self.tickets.close()

    async def _answer(self, ticket: Ticket, call: Call) -> ModelResponse:
        while ticket.state == "open":
            if not call.stage.request.wait_for_human:
                raise Escalated(ticket.id)
            await asyncio.sleep(POLL_S)
            if ticket.expires_us < now_us():
                self.tickets.tidy()
            ticket = self.tickets.get(ticket.id)
        if ticket.answer is None:
            text = f"Ticket {ticket.id} was {ticket.state} without an answer; ask again."
            raise Unanswered(ticket.state, text)
        part = ToolCallPart(OUTPUT_TOOL, ticket.answer) if ticket.output_type else None
        return ModelResponse(
            parts=[part or TextPart(ticket.answer)], model_name="human", provider_name="human"
        )

    def _ticket(self, call: Call) -> Ticket:
        now = now_us()
        output: Any = call.stage.agent.output
        details = {
            "messages": ModelMessagesTypeAdapter.dump_python(call.messages, mode="json"),
            "parameters": to_jsonable_python(call.parameters),
            "source": call.stage.source,
            "data_class": call.stage.request.data_class,
            "attempts": [asdict(row) for row in call.rows],
            "chain": call.chain,
            "labels": call.stage.labels,
            # The answer's row follows those of the call and the one that says "escalated".
            "row": {"call_id": call.id, "attempt": len(call.rows) + 2},
        }
        typed = isinstance(output, type) and output is not str
        return Ticket(
            id=new_id(),
            fingerprint=fingerprint(call),
            opened_us=now,
            expires_us=now + int(self.tickets.settings.expires_h * HOUR_US),
            stage=call.stage.name,
            question=call.question,
            details=json.dumps(details, ensure_ascii=False),
            output_type=f"{output.__module__}:{output.__qualname__}" if typed else "",
        )

    async def _tell(self) -> None:
        """Notify of all that nobody was told of, in one message; later again when it fails."""
        url = os.environ.get(WEBHOOK)
        for pause in TRY_AGAIN_S if url else ():
            await asyncio.sleep(pause)
            untold = [ticket for ticket in self.tickets.select() if ticket.told_us is None]
            if not untold:
                return
            try:
                await asyncio.to_thread(_post, str(url), message(untold))
            except (OSError, ValueError) as error:
                log.warning("%s did not take a notification: %s", WEBHOOK, error)
            else:
                self.tickets.told(untold)


human = Escalation


async def accept(tickets: Tickets, ticket: Ticket, text: str, by: str) -> Ticket:
    """Take a person's answer and book it. Raises AnswerInvalid, or FleetError if it is too late."""
    ticket = tickets.resolve(ticket.id, "answered", by, validated(ticket, text))
    details, resolved_us = json.loads(ticket.details), ticket.resolved_us or now_us()
    row = Attempt(
        **details["row"],
        **details["labels"],
        ts_us=resolved_us,
        latency_ms=(resolved_us - ticket.opened_us) // 1000,
        chain=details["chain"],
        provider="human",
        request_model="human",
        response_model=by,
        outcome="answered",
        quality_source="human",
    )
    ledger = Ledger(database_path(tickets.root))
    try:
        await ledger.write([row])
    finally:
        ledger.close()
    return ticket


async def again(tickets: Tickets, ticket: Ticket, start: Callable[[Request], Run]) -> Ticket:
    """Ask a ticket's chain once more and take its answer. Raises FleetError: it stays open."""
    details = json.loads(ticket.details)
    labels, agent = details["labels"], SubAgent(ticket.stage, output_type(ticket), human=False)
    if details["parameters"]["function_tools"] or agent.output is dict:
        raise Unanswered("open", f"{ticket.id} cannot be asked alone: send its request again.")
    request = Request(
        ticket.question,
        ModelMessagesTypeAdapter.validate_python(details["messages"][:-1]),
        user_ref=labels["user_ref"],
        tags=json.loads(labels["tags"]),
        data_class=details["data_class"],
    )
    run = start(request)
    run.id, run.pipeline = labels["run_id"], labels["pipeline"]
    answer = await run.ask(agent, request.text, chain=details["chain"], source=details["source"])
    return tickets.resolve(ticket.id, "answered", run.attempts[-1].request_model, _text(answer))


def validated(ticket: Ticket, text: str) -> str:
    """An answer as its stage can use it: text, or JSON of the stage's type."""
    if not text.strip():
        raise AnswerInvalid("An answer needs a text.")
    agent = SubAgent(ticket.stage, output_type(ticket))
    try:
        return _text(agent.parse(ModelResponse(parts=[TextPart(text.strip())])))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "All of it"
        raise AnswerInvalid(f"The answer is JSON, see `show`. {place}: {wrong['msg']}.") from None


def output_type(ticket: Ticket) -> type[Any]:
    """The type an answer has to fit: any JSON object, where the code makes it as it runs."""
    try:
        return resolve_name(ticket.output_type) if ticket.output_type else str
    except (ImportError, AttributeError):
        return dict


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else to_json(answer).decode()


def message(tickets: Sequence[Ticket]) -> dict[str, str]:
    """What a Slack-compatible webhook gets."""
    waiting = "1 question waits" if len(tickets) == 1 else f"{len(tickets)} questions wait"
    lines = [f"• {ticket.stage}: `escalations show {ticket.id[-8:]}`" for ticket in tickets[:10]]
    return {"text": "\n".join([f"{waiting} for a person, see `escalations list`.", *lines])}


def fingerprint(call: Call) -> str:
    """The same for the same question whenever it is asked: its stage and words, without times."""
    words = [
        (getattr(asked, "instructions", ""), [getattr(part, "content", "") for part in asked.parts])
        for asked in call.messages
    ]
    told = json.dumps([call.stage.name, call.chain, words], default=repr)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _post(url: str, body: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json"}
    sent = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(sent, timeout=10):
        pass
