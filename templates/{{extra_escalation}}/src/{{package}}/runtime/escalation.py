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
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_core import to_json

from .attempt import Call
from .errors import AnswerInvalid, Escalated, Unanswered
from .fleet import Fleet, Settings
from .inbox import DAY_US, Ticket, Tickets, now_us
from .ledger.store import Attempt, Ledger, new_id
from .run import OUTPUT_TOOL, Request, Run, Stage, SubAgent, current

log = logging.getLogger(__name__)

WEBHOOK = "FLEET_ESCALATION_WEBHOOK"
POLL_S = 0.5
TRY_AGAIN_S = (0, 1, 5, 30, 120, 600)
PARAMETERS = TypeAdapter(ModelRequestParameters)


class EscalationSettings(Settings):
    """The table `[escalation]` of fleet.toml."""

    max_open: int = Field(default=200, ge=1)
    expires_h: float = Field(default=72, gt=0)
    keep_days: float = Field(default=30, gt=0)


def human(root: Path, fleet: Fleet) -> "Escalation":
    return Escalation(root, fleet.section("escalation", EscalationSettings))


class Escalation:
    """The human of a workspace's chains. The file is opened when the first call comes."""

    def __init__(self, root: Path, settings: EscalationSettings) -> None:
        self.root = root
        self.settings = settings
        self._telling: asyncio.Task[None] | None = None

    @cached_property
    def tickets(self) -> Tickets:
        tickets = Tickets(self.root)
        tickets.tidy(self.settings.keep_days)
        return tickets

    async def earlier(self, call: Call) -> ModelResponse | None:
        """A person's answer to this very question of this very request, if there is one.

        Raises Escalated while it is open; a closed or expired ticket is as good as none.
        """
        ticket = self.tickets.of_request(_request_id(call), fingerprint(call))
        if ticket is None or ticket.state not in ("open", "answered"):
            return None
        return await self._answer(ticket, call)

    async def answer(self, call: Call) -> ModelResponse:
        """Hand a call over. Raises Escalated, or Unanswered; waits if its request says so."""
        ticket = self.tickets.open(self._ticket(call), _request_id(call), self.settings.max_open)
        if ticket.told_us is None and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())
        return await self._answer(ticket, call)

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
            self.tickets.tidy(self.settings.keep_days)
            ticket = self.tickets.get(ticket.id)
        if ticket.answer is None:
            text = f"Ticket {ticket.id} was {ticket.state} without an answer; ask again."
            raise Unanswered(ticket.state, text)
        part = ToolCallPart(OUTPUT_TOOL, ticket.answer) if ticket.output_type else None
        return ModelResponse(
            parts=[part or TextPart(ticket.answer)], model_name="human", provider_name="human"
        )

    def _ticket(self, call: Call) -> Ticket:
        stage, now, output = call.stage, now_us(), call.stage.agent.output
        typed = output is not str
        details = {
            "messages": ModelMessagesTypeAdapter.dump_python(call.messages, mode="json"),
            "parameters": PARAMETERS.dump_python(call.parameters, mode="json"),
            "source": stage.source,
            "data_class": stage.request.data_class,
            "attempts": [asdict(row) for row in call.rows],
            "chain": call.chain,
            "labels": stage.labels,
            # The answer's row follows those of the call and the one that says "escalated".
            "row": {"call_id": call.id, "attempt": len(call.rows) + 2},
        }
        return Ticket(
            id=new_id(),
            fingerprint=fingerprint(call),
            opened_us=now,
            expires_us=now + int(self.settings.expires_h / 24 * DAY_US),
            stage=stage.name,
            question=question(call),
            details=json.dumps(details, ensure_ascii=False),
            output_type=f"{output.__module__}:{output.__qualname__}" if typed else "",
        )

    async def _tell(self) -> None:
        """Notify of all that nobody was told of, in one message; later again when it fails."""
        url = os.environ.get(WEBHOOK)
        for pause in TRY_AGAIN_S if url else ():
            await asyncio.sleep(pause)
            if not (tickets := self.tickets.untold()):
                return
            try:
                await asyncio.to_thread(_post, str(url), message(tickets))
            except (OSError, ValueError) as error:
                log.warning("%s did not take a notification: %s", WEBHOOK, error)
            else:
                self.tickets.told(tickets)


async def accept(tickets: Tickets, ledger: Ledger, ticket: Ticket, text: str, by: str) -> Ticket:
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
    await ledger.write([row])
    return ticket


async def again(ticket: Ticket, start: Callable[[Request], Run]) -> tuple[str, str]:
    """Ask a ticket's chain once more: the answer, and the model that gave it. Raises FleetError.

    `start` is that of the workspace.
    """
    details = json.loads(ticket.details)
    labels, parameters = details["labels"], PARAMETERS.validate_python(details["parameters"])
    request = Request(
        ticket.question,
        user_ref=labels["user_ref"],
        tags=json.loads(labels["tags"]),
        data_class=details["data_class"],
    )
    run = start(request)
    run.id, run.pipeline, run.environment = (
        labels[key] for key in ("run_id", "pipeline", "environment")
    )
    if parameters.function_tools or details["chain"] not in run.chains:
        raise Unanswered("open", f"{ticket.id} cannot be asked again alone: repeat its request.")
    agent = SubAgent(ticket.stage, _output_type(ticket), human=False)
    messages = ModelMessagesTypeAdapter.validate_python(details["messages"])
    prompt = getattr(messages[-1], "instructions", None) or ""
    token = current.set(Stage(run, agent, prompt, details["source"]))
    try:
        completion = await model_request(
            run.chains[details["chain"]], messages, model_request_parameters=parameters
        )
    finally:
        current.reset(token)
    answer = to_json(agent.parse(completion)).decode() if ticket.output_type else completion.text
    return answer or "", completion.model_name or details["chain"]


def validated(ticket: Ticket, text: str) -> str:
    """An answer as its stage can use it: text, or JSON of the stage's type."""
    if not text.strip():
        raise AnswerInvalid("An answer needs a text.")
    if not ticket.output_type:
        return text.strip()
    output = _output_type(ticket)
    try:
        return to_json(TypeAdapter[Any](output).validate_json(text)).decode()
    except ValidationError as error:
        wrong = "; ".join(
            ".".join(map(str, [output.__name__, *one["loc"]])) + f": {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise AnswerInvalid(f"The answer is JSON, see `escalations show`. {wrong}.") from None


def message(tickets: Sequence[Ticket]) -> dict[str, str]:
    """What a Slack-compatible webhook gets."""
    waiting = "1 question waits" if len(tickets) == 1 else f"{len(tickets)} questions wait"
    lines = [f"• {ticket.stage}: `escalations show {ticket.id[-8:]}`" for ticket in tickets[:10]]
    more = [f"… and {len(tickets) - 10} more"] if len(tickets) > 10 else []
    return {"text": "\n".join([f"{waiting} for a person.", *lines, *more])}


def fingerprint(call: Call) -> str:
    """The same for the same question whenever it is asked: its stage and words, without times."""
    words = [
        (getattr(asked, "instructions", ""), [getattr(part, "content", "") for part in asked.parts])
        for asked in call.messages
    ]
    told = json.dumps([call.stage.name, call.chain, words], default=repr)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def question(call: Call) -> str:
    """The text that was asked last."""
    contents = [
        part.content for m in call.messages for part in m.parts if part.part_kind == "user-prompt"
    ]
    last = contents[-1] if contents else ""
    return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))


def _output_type(ticket: Ticket) -> type[Any]:
    module, _, name = ticket.output_type.partition(":")
    try:
        return getattr(import_module(module), name) if name else str
    except (ImportError, AttributeError):
        raise AnswerInvalid(f"{ticket.output_type} is no longer there: close the ticket.") from None


def _request_id(call: Call) -> str:
    return call.stage.request.id or call.stage.run.id


def _post(url: str, body: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json"}
    sent = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(sent, timeout=10):
        pass
