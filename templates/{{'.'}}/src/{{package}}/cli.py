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
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from .runtime import fleet
from .runtime.errors import FleetError, LedgerError
from .runtime.ledger import queries
from .runtime.ledger.queries import dollars
from .runtime.ledger.store import database_path


def main() -> None:
    """Exit status: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args()
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        # Who reads has seen enough, `| head` say; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
            return await workspace.handle(Request(options.text, id=options.id))

    result = asyncio.run(answer())
    route = result.route
    told = f"Waiting for a person: ticket {result.ticket}, see `escalations`."
    print(told if result.ticket else result.output)
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
    from .runtime.recorded import RecordedModel, Scene, Tape, scenes
    from .runtime.run import Request
    from .workspace import Answer, Workspace

    root = fleet.find_root()
    print("Recorded answers: no model is called and nothing is billed. Costs are what the")
    print("recorded tokens would cost at list price.\n")
    runs: list[str] = []

    async def play(scene: Scene) -> Answer:
        tape = Tape(scene)
        async with Workspace.open(root, build=partial(RecordedModel, tape=tape)) as workspace:
            workspace.environment = queries.DEMO
            request = Request(scene.text, options=scene.options)
            if scene.pipeline:
                return await workspace.run(scene.pipeline, request)
            return await workspace.handle(request)

    for scene in scenes(root / "examples" / "demo"):
        result, *_again = [asyncio.run(play(scene)) for _ in range(scene.times)]
        route = result.route
        runs.append(result.run_id)
        print(f"{scene.title}\n  > {scene.text}\n  < {result.output}")
        taken = f"{route.agent} on the {route.chain} chain"
        taken = f"pipeline {scene.pipeline}" if scene.pipeline else taken
        print(f"  {taken}: {route.reason}")
        print(f"  cost {dollars(result.cost_nano_usd)}\n")

    heads = ["stage", "chain", "model", "outcome", "reason", "tokens in", "tokens out", "cost"]
    rows = queries.attempts_of(database_path(root), runs)
    print("The ledger, one row per attempt (of a scene played often, the first time):\n")
    print(queries.table(heads, [[*row[:-1], dollars(row[-1])] for row in rows]))
    print("\nAnd what `costs --environment demo` makes of it:\n")
    report = _parser().parse_args(["costs", "--environment", queries.DEMO])
    return report.run(report)


def costs(options: argparse.Namespace) -> int:
    """What each task type cost on each model, this week against last."""
    root = fleet.find_root()
    print(queries.as_text(cost_report(options)))
    spent = queries.month_nano_usd(database_path(root), options.environment)
    budget = fleet.load(root / "fleet.toml").budgets.month_usd
    limit = f" of {dollars(round(budget * queries.NANO))}" if budget else ", no budget set"
    print(f"\nThis month: {dollars(spent)}{'' if options.environment else limit}")
    return 0


def cost_report(options: argparse.Namespace) -> queries.Report:
    """What the options of `costs` ask for; the demo's rows where there are no others yet."""
    location = database_path(fleet.find_root())
    report = queries.report(location, options.by, options.days, options.environment)
    if report.rows or report.before or options.environment:
        return report
    demo = queries.report(location, options.by, options.days, queries.DEMO)
    told = "they are the demo's recorded ones" if demo.rows else "run `demo` or `ask` first"
    print(f"No live calls in these {report.days} days: {told}.\n", file=sys.stderr)
    return demo


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
    for line in _refused(root):
        print(line)
    if dead:
        print(f"No key for chain {', '.join(dead)}: set one variable listed for it above.")
    return 1 if dead else 0


def _refused(root: Path) -> list[str]:
    """What the fallback hides: models that refused us for the last day, and why."""
    from .runtime.failures import LOUD
    from .runtime.fleet import ModelRef

    day_ago = time.time_ns() // 1000 - 24 * 3600 * 1_000_000
    try:
        rows = queries.mistakes(database_path(root), LOUD, day_ago)
    except LedgerError:
        return []  # no ledger yet: nothing was asked
    return [
        f"{ModelRef(provider, model, deployment or None)}: {kind}, {times} times in the last day"
        for provider, model, deployment, kind, times in rows
    ]


def _template_version(root: Path) -> str:
    path = root / ".copier-answers.yml"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line[9:] for line in lines if line.startswith("_commit: ")), "unknown")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Ask this workspace, and see what it costs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known: dict[str, argparse.ArgumentParser] = {}
    for function in (ask, run, demo, costs, doctor):
        command = known[function.__name__] = commands.add_parser(
            function.__name__, help=function.__doc__, description=function.__doc__
        )
        command.set_defaults(run=function)
        if function is ask:
            command.add_argument("text", help="the request")
            command.add_argument("--id", help="a name for it: asked again, it finds the answer")
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
            _configure_costs(command)
    words: dict[str, Any] = {"": commands}
    for path in sorted(Path(__file__).with_name("commands").glob("[a-z]*.py")):
        module = importlib.import_module(f".commands.{path.stem}", __package__)
        command = known.get(path.stem) or _word(words, known, path.stem, module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def _word(
    words: dict[str, Any], known: dict[str, argparse.ArgumentParser], name: str, help_: str
) -> argparse.ArgumentParser:
    """A new command; `costs_reprice` is the word `reprice` of the command `costs`."""
    first, _, second = name.partition("_")
    parent = first if second and first in known else ""
    if parent not in words:
        words[parent] = known[parent].add_subparsers(metavar="WORD", title="more")
    return words[parent].add_parser(second if parent else name, help=help_, description=help_)


def _configure_costs(command: argparse.ArgumentParser) -> None:
    period = command.add_mutually_exclusive_group()
    period.add_argument("--days", type=_days, default=7, help="how far back (default: 7)")
    period.add_argument(
        "--weeks", dest="days", type=_weeks, metavar="N", help="the last N times 7 days"
    )
    period.add_argument(
        "--since", dest="days", type=_since, metavar="DATE", help="from that day on, YYYY-MM-DD"
    )
    command.add_argument(
        "--by",
        type=_groups,
        default=queries.GROUPS[:2],
        metavar="COLUMNS",
        help=f"one or more of {', '.join(queries.GROUPS)} (default: task_type,request_model)",
    )
    command.add_argument("--environment", help="only this one (default: all but the demo's)")


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 36_500:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


def _weeks(text: str) -> int:
    return 7 * _days(text)


def _since(text: str) -> int:
    try:
        days = queries.today() + 1 - (date.fromisoformat(text) - queries.EPOCH).days
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date like 2026-01-31") from None
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text} is yet to come")
    return days


def _groups(text: str) -> tuple[str, ...]:
    short = {"task": "task_type", "model": "request_model"}
    words = dict.fromkeys(text.replace(" ", "").split(","))
    names = tuple(short.get(word, word) for word in words)
    if unknown := [name for name in names if name not in queries.GROUPS]:
        raise argparse.ArgumentTypeError(
            f"'{unknown[0]}' is not one of {', '.join(queries.GROUPS)}"
        )
    return names
