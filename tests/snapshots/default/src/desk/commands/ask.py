"""`ask`: answer one request with the models of fleet.toml."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ..runtime.errors import FleetError
from ..runtime.ledger.attempt import DEMO
from ..runtime.ledger.report_text import dollars
from ..runtime.text import printable

if TYPE_CHECKING:
    from ..runtime.request import Request
    from ..workspace import Answer, BuildModel

HELP = "answer one request with the models of fleet.toml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the request and how its answer is printed."""
    parser.add_argument("text", help="the request")
    parser.add_argument("--id", help="a name for it: asked again, it finds the answer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Answer the request and print the answer."""
    from ..runtime.request import Request

    print_answer(asyncio.run(answer(Request(options.text, id=options.id))), options)
    return 0


async def answer(
    request: "Request", pipeline: str | None = None, recorded: "BuildModel | None" = None
) -> "Answer":
    """Answer a request by the router or a named pipeline, with real or recorded models.

    Raises FleetError for a blank one: nobody is asked, and nothing is paid.
    """
    if not request.text.strip():
        raise FleetError("The request is empty", "write what you want to know")
    from ..workspace import Workspace

    async with Workspace.open(build=recorded) as workspace:
        if recorded:
            workspace.environment = DEMO
        if pipeline:
            return await workspace.run(pipeline, request)
        return await workspace.handle(request)


def print_answer(result: "Answer", options: argparse.Namespace) -> None:
    """Print an answer; its route and cost go to standard error."""
    if options.json:
        names = ("status", "output", "run_id", "cost_nano_usd", "ticket")
        print(to_json({name: getattr(result, name) for name in names}).decode())
        return
    waiting = f"Waiting for a person: ticket {result.ticket}, see `escalations`."
    print(waiting if result.ticket else printable(result.output))
    route = result.route
    reason = printable(f"{route.chain} chain, {route.decided_by}: {route.reason}")
    print(f"\n{reason}", file=sys.stderr)
    print(f"cost {dollars(result.cost_nano_usd)}, run {result.run_id}", file=sys.stderr)
