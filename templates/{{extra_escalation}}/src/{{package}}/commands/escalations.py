"""`escalations`: what waits for a person; answer it, close it, or ask the models again."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..runtime import fleet
from ..runtime.errors import FleetError
from ..runtime.inbox import STATES, Ticket, Tickets, now_us
from ..runtime.ledger.queries import table

HELP = "Answer what no model could: list, show, answer, close, retry."


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    named = {
        list_: actions.add_parser(list_.__name__[1:], help=list_.__doc__)
        for list_ in (_list, _show, _answer, _close, _retry)
    }
    for function, action in named.items():
        action.set_defaults(act=function)
        action.add_argument("--json", action="store_true", help="print one JSON object")
    named[_list].add_argument("--state", choices=[*STATES, "all"], default="open")
    named[_list].add_argument("--limit", type=int, default=50, help="how many (default: 50)")
    for function in (_show, _answer):
        named[function].add_argument("id", help="a ticket's id, or the end of it")
    named[_answer].add_argument("--text", default="-", help="the answer; - reads standard input")
    for function in (_close, _retry):
        named[function].add_argument("id", nargs="*", help="ids, or the ends of them")
        named[function].add_argument("--all", action="store_true", help="every open ticket")
        named[function].add_argument("--stage", help="every open ticket of a stage")
    for function in (_answer, _close):
        named[function].add_argument("--by", default=getpass.getuser(), help="who (default: you)")


def run(options: argparse.Namespace) -> int:
    from ..runtime.escalation import EscalationSettings

    root = fleet.find_root()
    settings = fleet.load(root / "fleet.toml").section("escalation", EscalationSettings)
    tickets = Tickets(root)
    try:
        tickets.tidy(settings.keep_days)
        told, lines = options.act(options, tickets)
    finally:
        tickets.close()
    print(json.dumps(told, ensure_ascii=False) if options.json else lines)
    return 0


def _list(options: argparse.Namespace, tickets: Tickets) -> tuple[dict[str, Any], str]:
    """what waits, the oldest first"""
    found = tickets.select(options.state, options.limit)
    rows = [
        [t.id[-8:], t.state, _age(t), t.stage, t.asked, " ".join(t.question.split())[:60]]
        for t in found
    ]
    lines = table(["id", "state", "age", "stage", "asked", "question"], rows)
    return {"tickets": [_told(t) for t in found]}, lines if found else "There is none."


def _show(options: argparse.Namespace, tickets: Tickets) -> tuple[dict[str, Any], str]:
    """one question, its context and every attempt to answer it"""
    ticket = tickets.get(options.id)
    details = json.loads(ticket.details)
    rows = [[a["request_model"], a["outcome"], a["error_type"]] for a in details["attempts"]]
    lines = [
        f"{ticket.id}: {ticket.state}, stage {ticket.stage}, {_age(ticket)} old, "
        f"asked by {ticket.asked}\n",
        table(["model", "outcome", "reason"], rows),
        *(f"\nInstructions\n{m['instructions']}" for m in details["messages"][-1:]),
        f"\nQuestion\n{ticket.question}",
    ]
    if ticket.output_type:
        schema = details["parameters"]["output_object"]["json_schema"]
        lines.append(f"\nThe answer is JSON\n{json.dumps(schema, indent=2)}")
    if ticket.answer is not None:
        lines.append(f"\nAnswer of {ticket.resolved_by}\n{ticket.answer}")
    return _told(ticket) | {"details": details}, "\n".join(lines)


def _answer(options: argparse.Namespace, tickets: Tickets) -> tuple[dict[str, Any], str]:
    """answer one, for everybody who waits for it"""
    from ..runtime.escalation import accept, validated
    from ..runtime.ledger.store import Ledger, database_path

    ticket = tickets.get(options.id)
    text = sys.stdin.read() if options.text == "-" else options.text
    validated(ticket, text)  # nothing is opened for an answer that does not fit

    async def book() -> Ticket:
        ledger = Ledger(database_path(fleet.find_root()))
        try:
            return await accept(tickets, ledger, ticket, text, options.by)
        finally:
            ledger.close()

    done = asyncio.run(book())
    return _told(done), f"{done.id} is answered by {done.resolved_by}."


def _close(options: argparse.Namespace, tickets: Tickets) -> tuple[dict[str, Any], str]:
    """give up without an answer"""
    closed = [
        tickets.resolve(ticket.id, "closed", options.by).id for ticket in _chosen(options, tickets)
    ]
    return {"closed": closed}, f"Closed {len(closed)}."


def _retry(options: argparse.Namespace, tickets: Tickets) -> tuple[dict[str, Any], str]:
    """ask the models again"""
    chosen = _chosen(options, tickets)
    answered = asyncio.run(_ask_again(tickets, chosen))
    left = [ticket.id for ticket in chosen if ticket.id not in answered]
    lines = f"{len(answered)} answered by a model, {len(left)} still open."
    return {"answered": answered, "open": left}, lines


async def _ask_again(tickets: Tickets, chosen: Sequence[Ticket]) -> list[str]:
    from ..runtime.escalation import again
    from ..workspace import Workspace

    at_once = asyncio.Semaphore(8)
    async with Workspace.open() as workspace:

        async def ask(ticket: Ticket) -> str | None:
            try:
                async with at_once:
                    answer, model = await again(ticket, workspace.start)
            except FleetError:
                return None
            return tickets.resolve(ticket.id, "answered", model, answer).id

        return [id_ for id_ in await asyncio.gather(*map(ask, chosen)) if id_]


def _chosen(options: argparse.Namespace, tickets: Tickets) -> list[Ticket]:
    if not (options.id or options.all or options.stage):
        raise FleetError("Name tickets, or --stage NAME, or --all.")
    if options.id:
        return [tickets.get(id_) for id_ in options.id]
    return [t for t in tickets.select() if options.stage in (None, t.stage)]


def _told(ticket: Ticket) -> dict[str, Any]:
    return {key: value for key, value in asdict(ticket).items() if key != "details"}


def _age(ticket: Ticket) -> str:
    minutes = (now_us() - ticket.opened_us) // 60_000_000
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
