"""`demo`: recorded requests through the real flow, and what the ledger has of them."""

import argparse
import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ..configuration import ledger_location
from ..runtime import fleet
from ..runtime.ledger import queries, report_text
from ..runtime.ledger.attempt import DEMO
from ..runtime.ledger.report_text import dollars
from .ask import answer

if TYPE_CHECKING:
    from ..runtime.recorded import Scene

HELP = "run the recorded requests through the real flow, then print what the ledger has of them"
COLUMNS = ("stage", "chain", "model", "outcome", "reason", "tokens in", "tokens out", "cost")


def configure(_: argparse.ArgumentParser) -> None:
    """Add no options."""


def run(options: argparse.Namespace) -> int:
    """Play every recorded request, then print their attempts and the cost report."""
    from ..runtime.recorded import scenes

    root = fleet.find_root()
    recorded = scenes(root / "examples" / "demo")
    asyncio.run(_expect_usable())
    print("Recorded answers: no model is called and nothing is billed. Costs are what the")
    print("recorded tokens would cost at list price.\n")
    run_ids = [_play(scene) for scene in recorded]
    rows = queries.attempts_of(ledger_location(root), run_ids)
    print("The ledger, one row per attempt (of a scene played often, the first time):\n")
    print(report_text.table(COLUMNS, [[*row[:-1], dollars(row[-1])] for row in rows]))
    print("\nAnd what `costs --environment demo` makes of it:\n")
    report = options.parse(["costs", "--environment", DEMO])
    return report.run(report)


async def _expect_usable() -> None:
    """Open the workspace and close it. Raises FleetError where it cannot be used."""
    from ..workspace import Workspace

    async with Workspace.open():
        pass


def _play(scene: "Scene") -> str:
    """Play one scene as often as it says, print its first answer, and return that run's id."""
    from ..runtime.recorded import RecordedModel, Tape
    from ..runtime.request import Request

    request = Request(scene.text, options=scene.options)
    first, *_ = [
        asyncio.run(answer(request, scene.pipeline, partial(RecordedModel, tape=Tape(scene))))
        for _ in range(scene.times)
    ]
    route = first.route
    taken = f"{route.agent} on the {route.chain} chain"
    taken = f"pipeline {scene.pipeline}" if scene.pipeline else taken
    print(f"{scene.title}\n  > {scene.text}\n  < {first.output}\n  {taken}: {route.reason}")
    print(f"  cost {dollars(first.cost_nano_usd)}\n")
    return first.run_id
