"""`escalations`: what waits for a person; answer it, or close it."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..configuration import ledger_location
from ..runtime import fleet
from ..runtime.errors import FleetError
from ..runtime.inbox import STATES, Ticket, Tickets
from ..runtime.ledger.report_text import table
from ..runtime.text import printable

HELP = "answer what no model could: list, show, answer, close"
Output = tuple[dict[str, Any], str]  # what an action prints with --json, and without
Act = Callable[[argparse.Namespace, Tickets], Output]


def configure(parser: argparse.ArgumentParser, acts: Sequence[Act] = ()) -> None:
    """Add the actions and their options; the help of an action is its docstring."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for act in acts or ACTIONS:
        action = actions.add_parser(
            act.__name__.strip("_"), help=(act.__doc__ or "").removesuffix(".")
        )
        action.set_defaults(act=act)
        if act is list_:
            action.add_argument("--state", choices=[*STATES, "all"], default="open")
        elif act in (show, answer):
            action.add_argument("ticket", metavar="ID", help="a ticket's id, or the end of it")
        else:
            action.add_argument("tickets", metavar="ID", nargs="*", help="ids, or the ends of them")
            action.add_argument("--all", action="store_true", help="every open ticket")
            action.add_argument("--stage", help="every open ticket of a stage")
        if act is answer:
            action.add_argument("--text", default="-", help="the answer; - reads standard input")
        if act in (answer, close):
            action.add_argument("--by", help="who (default: you)")
        action.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do the action and print what came of it."""
    with closing(Tickets(fleet.find_root())) as tickets:
        figures, lines = options.act(options, tickets)
    print(json.dumps(figures) if options.json else printable(lines))
    return 0


def list_(options: argparse.Namespace, tickets: Tickets) -> Output:
    """List the questions that wait, the oldest first."""
    found = tickets.select(options.state)
    rows = [
        [t.id[-8:], t.state, _utc(t.opened_us), t.stage, t.asked, " ".join(t.question.split())[:60]]
        for t in found
    ]
    lines = table(["id", "state", "opened (UTC)", "stage", "asked", "question"], rows)
    return {"tickets": [_public(t) for t in found]}, lines if found else "Nothing waits."


def show(options: argparse.Namespace, tickets: Tickets) -> Output:
    """Show one question, its context and every attempt to answer it."""
    ticket = tickets.get(options.ticket)
    details: Any = json.loads(ticket.details)
    rows = [[a["request_model"], a["outcome"], a["error_type"]] for a in details["attempts"]]
    typed = details["parameters"]["output_object"]
    title = f"{ticket.id}: {ticket.state}, opened {_utc(ticket.opened_us)} UTC by {ticket.stage}"
    parts: dict[str, str | None] = {
        title: table(["model", "outcome", "reason"], rows),
        "Instructions": details["messages"][-1].get("instructions"),
        "Source": details["source"],
        "Question": ticket.question,
        "The answer is JSON": json.dumps(typed["json_schema"], indent=2) if typed else None,
        f"Answer of {ticket.resolved_by}, {_utc(ticket.resolved_us or 0)} UTC": ticket.answer,
    }
    lines = "\n\n".join(f"{name}\n{text.strip()}" for name, text in parts.items() if text)
    return _public(ticket) | {"details": details}, lines


def answer(options: argparse.Namespace, tickets: Tickets) -> Output:
    """Answer one, for everybody who waits for it."""
    from ..runtime.escalation import accept

    ticket, by = tickets.get(options.ticket), _by(options)
    text = sys.stdin.read() if options.text == "-" else options.text
    location = ledger_location(tickets.root)
    done = asyncio.run(accept(tickets, ticket, text, by, location))
    return _public(done), f"{done.id} is answered by {done.resolved_by}."


def close(options: argparse.Namespace, tickets: Tickets) -> Output:
    """Give up without an answer."""
    chosen = choose(options, tickets)
    closed = [ticket.id for ticket in tickets.resolve(chosen, "closed", _by(options))]
    return {"closed": sorted(closed)}, f"Closed {len(closed)}."


ACTIONS: Sequence[Act] = (list_, show, answer, close)


def choose(options: argparse.Namespace, tickets: Tickets) -> list[Ticket]:
    """Return the tickets that the options name. Raises FleetError where a name fits none."""
    if bool(options.tickets) + options.all + bool(options.stage) > 1:
        raise FleetError(
            "Tickets are named in more than one way", "name tickets, or --stage NAME, or --all"
        )
    if options.tickets:
        return [tickets.get(id_) for id_ in dict.fromkeys(options.tickets)]
    if not (options.all or options.stage):
        raise FleetError("No ticket is named", "name tickets, or --stage NAME, or --all")
    return [ticket for ticket in tickets.select() if options.stage in (None, ticket.stage)]


def _by(options: argparse.Namespace) -> str:
    try:
        return options.by or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        raise FleetError("This machine has no name for you", "say who you are: --by NAME") from None


def _public(ticket: Ticket) -> dict[str, Any]:
    return {key: value for key, value in asdict(ticket).items() if key != "details"}


def _utc(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1_000_000, UTC):%Y-%m-%d %H:%M}"
