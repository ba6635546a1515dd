"""The command line: ask, run, demo, costs, and one module of `commands/` each for the rest.

The only place where async work is started.
"""

import argparse
import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from .configuration import ledger_location
from .runtime import fleet
from .runtime.encodable import printable
from .runtime.errors import FleetError
from .runtime.ledger import queries
from .runtime.ledger.queries import dollars
from .runtime.redaction import hide_in_logs, redact_error

if TYPE_CHECKING:
    from .runtime.ledger.saving import Saving
    from .runtime.run import Request
    from .workspace import Answer, BuildModel

GROUPS = ", ".join((*queries.GROUPS, "agent", "user", "tag:KEY"))


def main() -> None:
    """Exit status: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    hide_in_logs()
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
        sys.exit(printable(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # A bug of ours, or a library's: told in full, and without the secrets it may quote.
        error = redact_error(error)
        sys.exit(printable("".join(traceback.format_exception(error)).rstrip()))


def ask(options: argparse.Namespace) -> int:
    """Answer one request with the models of fleet.toml."""
    from .runtime.run import Request

    return _show(asyncio.run(_answer(Request(options.text, id=options.id))), options)


def run(options: argparse.Namespace) -> int:
    """Run one pipeline on a text, or on a file's when INPUT names one."""
    from . import wiring
    from .runtime.run import Request

    text, path = options.input, Path(options.input)
    if _is_file(path):
        try:
            text = wiring.READERS[0](path) if wiring.READERS else path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"{path} cannot be read as UTF-8 text: {error}.") from None
    request = Request(text, options=dict(options.set))
    return _show(asyncio.run(_answer(request, options.pipeline)), options)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text, and too long for a name
        return False


async def _answer(
    request: "Request", pipeline: str | None = None, recorded: "BuildModel | None" = None
) -> "Answer":
    from .workspace import Workspace

    async with Workspace.open(build=recorded) as workspace:
        if recorded:
            workspace.environment = queries.DEMO
        if pipeline:
            return await workspace.run(pipeline, request)
        return await workspace.handle(request)


def _show(result: "Answer", options: argparse.Namespace) -> int:
    if options.json:
        names = ("status", "output", "run_id", "cost_nano_usd", "ticket")
        print(to_json({name: getattr(result, name) for name in names}).decode())
        return 0
    waiting = f"Waiting for a person: ticket {result.ticket}, see `escalations`."
    print(waiting if result.ticket else printable(result.output))
    route = result.route
    reason = printable(f"{route.chain} chain, {route.decided_by}: {route.reason}")
    print(f"\n{reason}", file=sys.stderr)
    print(f"cost {dollars(result.cost_nano_usd)}, run {result.run_id}", file=sys.stderr)
    return 0


def demo(_: argparse.Namespace) -> int:
    """Run the recorded requests through the real flow, then print what the ledger has of them."""
    from .runtime.recorded import RecordedModel, Tape, scenes
    from .runtime.run import Request

    print("Recorded answers: no model is called and nothing is billed. Costs are what the")
    print("recorded tokens would cost at list price.\n")
    root = fleet.find_root()
    runs: list[str] = []
    for scene in scenes(root / "examples" / "demo"):
        request = Request(scene.text, options=scene.options)
        result, *_again = [
            asyncio.run(_answer(request, scene.pipeline, partial(RecordedModel, tape=Tape(scene))))
            for _ in range(scene.times)
        ]
        route = result.route
        runs.append(result.run_id)
        taken = f"{route.agent} on the {route.chain} chain"
        taken = f"pipeline {scene.pipeline}" if scene.pipeline else taken
        print(f"{scene.title}\n  > {scene.text}\n  < {result.output}\n  {taken}: {route.reason}")
        print(f"  cost {dollars(result.cost_nano_usd)}\n")
    heads = ["stage", "chain", "model", "outcome", "reason", "tokens in", "tokens out", "cost"]
    rows = queries.attempts_of(ledger_location(root), runs)
    print("The ledger, one row per attempt (of a scene played often, the first time):\n")
    print(queries.table(heads, [[*row[:-1], dollars(row[-1])] for row in rows]))
    print("\nAnd what `costs --environment demo` makes of it:\n")
    report = _parser().parse_args(["costs", "--environment", queries.DEMO])
    return report.run(report)


def costs(options: argparse.Namespace) -> int:
    """What each task type cost on each model, this week against last."""
    if options.json or options.csv or options.html:
        raise FleetError("Here `costs` is a table; `scaffold add extra cost_reports` brings more.")
    report = cost_report(options)
    alarm = queries.alarm(queries.total(report.rows))
    lines = [f"{alarm} Run `doctor`.\n"] if alarm else []
    lines += [queries.as_text(report), "", month_text(report), *saving_lines(report)]
    print(printable("\n".join(lines)))
    return 0


def cost_report(options: argparse.Namespace) -> queries.Report:
    """What the options of `costs` ask for; the demo's rows where there are no others yet.

    Raises FleetError for an environment that no call was made in.
    """
    from . import wiring

    location = ledger_location(fleet.find_root())
    of_attempts = wiring.ATTEMPT_SUMS
    report = queries.Report(location, options.by, options.days, options.environment, of_attempts)
    if options.environment and not report.rows:
        known = queries.environments(location)
        if options.environment not in known:
            raise FleetError(
                f"No calls match: none was made in environment '{options.environment}'. "
                f"Take --environment {' or '.join(known) or 'demo'}, or run `ask` first."
            )
    notes: list[str] = []
    if report.needs_attempts and of_attempts:
        notes = of_attempts.notes(location, report)
    if report.rows or report.before or notes or options.environment:
        if not report.rows:
            notes = notes or [f"No calls match in these {report.days} days."]
        print("".join(f"{printable(note)}\n" for note in notes), end="", file=sys.stderr)
        return report
    demo = queries.Report(location, options.by, options.days, queries.DEMO, of_attempts)
    told = "these are the demo's recorded ones" if demo.rows else "run `demo` or `ask` first"
    print(f"No live calls in these {report.days} days: {told}.\n", file=sys.stderr)
    return demo


def saving_of(report: queries.Report) -> "Saving | None":
    """What the report's requests cost beside one call of `[baseline] model` each."""
    from .workspace import comparison

    root = fleet.find_root()
    compared = comparison(root, fleet.load(root / "fleet.toml"))
    if compared is None or not report.rows:
        return None
    saving = compared.over(ledger_location(root), report.since, environment=report.environment)
    return saving if saving.requests or saving.left_out else None  # rows may be gone by now


def saving_lines(report: queries.Report) -> list[str]:
    """The saving as text, if there is a model to measure it against."""
    saving = saving_of(report)
    if saving is None:
        return []
    since = "" if saving.since == report.since else f"Since {queries.day_of(saving.since)}: "
    return [f"{since}{saving}"]


def month_text(report: queries.Report) -> str:
    """What this month has cost so far, in the report's environment."""
    root = fleet.find_root()
    month = queries.month_total(ledger_location(root), report.environment)
    spent = ("≥" if month.unpriced or month.unmeasured else "") + dollars(month.cost_nano_usd)
    spent += queries.lacking(month)
    if report.environment not in (None, queries.DEMO):
        return f"This month: {spent}"  # the budget is one for all of them
    budget = fleet.load(root / "fleet.toml").budgets.month_usd
    limit = f" of {dollars(round(budget.scaleb(9)))}" if budget else ", no budget set"
    return f"This month: {spent}{limit}"


def _parser() -> argparse.ArgumentParser:
    from .commands import COMMANDS

    parser = argparse.ArgumentParser(description="Ask this workspace, and see what it costs.")
    parents: dict[str, Any] = {"": parser.add_subparsers(required=True, metavar="COMMAND")}
    known: dict[str, argparse.ArgumentParser] = {}
    for function in (ask, run, demo, costs):
        name, told = function.__name__, function.__doc__
        known[name] = parents[""].add_parser(name, help=told, description=told)
        known[name].set_defaults(run=function)
    _declare(known)
    for words, module in COMMANDS.items():
        if words not in known:
            parent, _, word = words.rpartition(" ")
            if parent not in parents:
                parents[parent] = known[parent].add_subparsers(metavar="WORD", title="more")
            known[words] = parents[parent].add_parser(
                word, help=module.HELP, description=module.HELP
            )
        module.configure(known[words])
        known[words].set_defaults(run=module.run)
    return parser


def _declare(known: Mapping[str, argparse.ArgumentParser]) -> None:
    known["ask"].add_argument("text", help="the request")
    known["ask"].add_argument("--id", help="a name for it: asked again, it finds the answer")
    run, pairs = known["run"], "what else the pipeline takes, such as question=..."
    run.add_argument("pipeline", help="answer, or one of the workspace's pipelines")
    run.add_argument("input", help="a text, or the path of a file")
    run.add_argument(
        "--set", type=_pair, action="append", default=[], metavar="KEY=VALUE", help=pairs
    )
    for name in ("ask", "run"):
        known[name].add_argument("--json", action="store_true", help="print one JSON object")
    costs = known["costs"]
    days = costs.add_mutually_exclusive_group()
    days.add_argument("--days", type=_days, default=7, metavar="N", help="the last N (default: 7)")
    days.add_argument(
        "--weeks", type=lambda text: 7 * _days(text), dest="days", metavar="N", help="7 times N"
    )
    days.add_argument(
        "--since", type=_since, dest="days", metavar="YYYY-MM-DD", help="from then on"
    )
    told = f"one or more of {GROUPS} (default: task,model)"
    costs.add_argument("--by", type=_groups, default="task,model", metavar="COLUMNS", help=told)
    costs.add_argument("--environment", help="only this one (default: all but the demo's)")
    formats = costs.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="one JSON object, exact numbers")
    formats.add_argument("--csv", action="store_true", help="a line per group, exact numbers")
    formats.add_argument("--html", metavar="FILE", help="write one page to show around")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 36_500:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 36500")
    return int(text)


def _since(text: str) -> int:
    try:
        days = queries.today() + 1 - (date.fromisoformat(text) - queries.EPOCH).days
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date like 2026-01-31") from None
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text} is yet to come")
    return days


def _groups(text: str) -> tuple[str, ...]:
    short = {"task": "task_type", "model": "request_model", "user": "user_ref"}
    names = dict.fromkeys(short.get(word, word) for word in text.replace(" ", "").split(","))
    known = (*queries.GROUPS, "agent", "user_ref")
    for name in names:
        if name not in known and not (name.startswith("tag:") and name[4:]):
            raise argparse.ArgumentTypeError(f"'{name}' is not one of {GROUPS}")
    return tuple(names)
