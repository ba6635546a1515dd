"""The command line: ask, run, demo, costs, doctor, and one module of `commands/` each for the rest.

The only place where async work is started.
"""

import argparse
import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .runtime import fleet
from .runtime.errors import FleetError
from .runtime.ledger import queries
from .runtime.ledger.queries import dollars
from .runtime.ledger.store import database_path

DAY_US = 24 * 3600 * 1_000_000


def main() -> None:
    """Exit status: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args()
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        sys.exit(run(options))
    except FleetError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def ask(options: argparse.Namespace) -> int:
    """Answer one request with the models of fleet.toml."""
    from .runtime.run import Request
    from .workspace import Answer, Workspace

    async def answer() -> Answer:
        async with Workspace.open() as workspace:
            return await workspace.handle(Request(options.text))

    result = asyncio.run(answer())
    route = result.route
    print(result.output)
    print(f"\n{route.chain} chain, {route.decided_by}: {route.reason}", file=sys.stderr)
    print(f"cost {dollars(result.cost_nano_usd)}, run {result.run_id}", file=sys.stderr)
    return 0


def run(options: argparse.Namespace) -> int:
    """Run one pipeline on a text, or on a file's when INPUT names one."""
    from pydantic_core import to_jsonable_python

    from .runtime.run import Request
    from .workspace import Answer, Workspace

    request = Request(_input(options.input), options=dict(options.set))

    async def answer() -> Answer:
        async with Workspace.open() as workspace:
            return await workspace.run(options.pipeline, request)

    result = asyncio.run(answer())
    if options.json:
        output = to_jsonable_python(result.output)
        told = {"status": result.status, "output": output, "run_id": result.run_id}
        print(json.dumps(told | {"cost_nano_usd": result.cost_nano_usd}, ensure_ascii=False))
        return 0
    print(result.output)
    print(f"\ncost {dollars(result.cost_nano_usd)}, run {result.run_id}", file=sys.stderr)
    return 0


def _input(text: str) -> str:
    from . import wiring

    path = Path(text)
    if len(text) > 1000 or not path.is_file():
        return text
    try:
        return wiring.READERS[0](path) if wiring.READERS else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{text} cannot be read as UTF-8 text: {error}.") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def demo(_: argparse.Namespace) -> int:
    """Run the recorded requests through the real flow, then print what the ledger has of them."""
    from .runtime.recorded import RecordedModel, Tape, scenes
    from .runtime.run import Request
    from .workspace import Workspace

    root = fleet.find_root()
    print("Recorded answers: no model is called and nothing is billed. Costs are what the")
    print("recorded tokens would cost at list price.\n")
    runs: list[str] = []

    async def play() -> None:
        for scene in scenes(root / "examples" / "demo"):
            tape = Tape(scene)
            async with Workspace.open(root, build=partial(RecordedModel, tape=tape)) as workspace:
                workspace.environment = queries.DEMO
                request = Request(scene.text, options=scene.options)
                if scene.pipeline:
                    result = await workspace.run(scene.pipeline, request)
                else:
                    result = await workspace.handle(request)
            route = result.route
            runs.append(result.run_id)
            print(f"{scene.title}\n  > {scene.text}\n  < {result.output}")
            taken = f"{route.agent} on the {route.chain} chain"
            taken = f"pipeline {scene.pipeline}" if scene.pipeline else taken
            print(f"  {taken}: {route.reason}")
            print(f"  cost {dollars(result.cost_nano_usd)}\n")

    asyncio.run(play())
    heads = ["stage", "chain", "model", "outcome", "reason", "tokens in", "tokens out", "cost"]
    rows = queries.attempts_of(database_path(root), runs)
    print("The ledger, one row per attempt:\n")
    print(queries.table(heads, [[*row[:-1], dollars(row[-1])] for row in rows]))
    return 0


def costs(options: argparse.Namespace) -> int:
    """What each task type cost on each model, and the month against its budget."""
    root = fleet.find_root()
    path = database_path(root)
    since = time.time_ns() // 1000 - options.days * DAY_US
    rows = queries.by_task(path, since)
    if not rows:
        rows = queries.by_task(path, since, demo=True)
        print("No live calls yet; these are the demo's recorded ones.\n" if rows else "No calls.")
    if rows:
        print(queries.costs_table(rows))
    spent = queries.month_nano_usd(path)
    budget = fleet.load(root / "fleet.toml").budgets.month_usd
    print(f"\nThis month: {dollars(spent)}" + (f" of ${budget}" if budget else ", no budget set"))
    return 0


def doctor(_: argparse.Namespace) -> int:
    """Which keys are set, which models are priced; exit status 1 if a chain cannot be asked."""
    from .workspace import keys_of, load_prices

    root = fleet.find_root()
    settings = fleet.load(root / "fleet.toml")
    prices = load_prices(root)
    rows: list[list[object]] = []
    dead: list[str] = []
    for name, chain in settings.chains.items():
        usable = False
        for ref in chain.models:
            keys = keys_of(ref, settings)
            missing = [key for key in keys if not os.environ.get(key)]
            usable = usable or not missing
            told = ", ".join(f"{key} {'not set' if key in missing else 'set'}" for key in keys)
            rows.append([name, str(ref), told or "no key needed", prices.known(ref) or "unpriced"])
        dead += [] if usable else [name]
    print(queries.table(["chain", "model", "key", "price"], rows))
    print(f"\nTemplate {_template_version(root)}, ledger {database_path(root)}")
    if dead:
        print(f"No key for chain {', '.join(dead)}: set one variable listed for it above.")
    return 1 if dead else 0


def _template_version(root: Path) -> str:
    path = root / ".copier-answers.yml"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line[9:] for line in lines if line.startswith("_commit: ")), "unknown")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Ask this workspace, and see what it costs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for function in (ask, run, demo, costs, doctor):
        command = commands.add_parser(
            function.__name__, help=function.__doc__, description=function.__doc__
        )
        command.set_defaults(run=function)
        if function is ask:
            command.add_argument("text", help="the request")
        if function is run:
            command.add_argument("pipeline", help="answer, or one of the workspace's pipelines")
            command.add_argument("input", help="a text, or the path of a file")
            command.add_argument("--json", action="store_true", help="print one JSON object")
            command.add_argument(
                "--set",
                type=_pair,
                action="append",
                default=[],
                metavar="KEY=VALUE",
                help="what else the pipeline takes, such as question=...",
            )
        if function is costs:
            command.add_argument("--days", type=int, default=7, help="how far back (default: 7)")
    for path in sorted(Path(__file__).with_name("commands").glob("[a-z]*.py")):
        module = importlib.import_module(f".commands.{path.stem}", __package__)
        command = commands.add_parser(path.stem, help=module.HELP, description=module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser
