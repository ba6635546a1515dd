"""`escalations retry`: ask the models again what waits for a person, after an outage say."""

import argparse
import asyncio
import json
from collections.abc import Callable
from typing import Any

from ..runtime.errors import FleetError
from ..runtime.inbox import Ticket, Tickets
from ..runtime.request import Request
from ..runtime.run import Run
from . import escalations
from .escalations import Output

HELP = escalations.HELP.replace("close", "close, retry")
run = escalations.run


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `retry` to the actions."""
    escalations.configure(parser, [*escalations.ACTIONS, retry])


def retry(options: argparse.Namespace, tickets: Tickets) -> Output:
    """Ask the models again."""
    from ..workspace import Workspace

    chosen = escalations.choose(options, tickets)

    async def ask() -> list[BaseException | None]:
        async with Workspace.open() as workspace:
            asked = (ask_again(tickets, ticket, workspace.start) for ticket in chosen)
            return await asyncio.gather(*asked, return_exceptions=True)

    failed = {t.id: error for t, error in zip(chosen, asyncio.run(ask()), strict=True) if error}
    answered = [ticket.id for ticket in chosen if ticket.id not in failed]
    lines = [f"{len(answered)} answered by a model, {len(failed)} not.", *map(str, failed.values())]
    return {"answered": answered, "open": list(failed)}, "\n".join(lines[:2])


async def ask_again(tickets: Tickets, ticket: Ticket, start: Callable[[Request], Run]) -> None:
    """Ask a ticket's chain once more and take its answer. Raises FleetError: it stays open."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    from ..runtime.escalation import output_type, write_answer
    from ..runtime.subagent import SubAgent

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
    tickets.resolve([ticket], "answered", by, write_answer(answer, agent))
