"""`doctor`: everything that `ask` would trip over, and what to do about each of it."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration import (
    keys_of,
    ledger_location,
    load_prices,
    make_checks,
    missing_keys,
    read_environment,
    require_parts,
)
from ..runtime.errors import FleetError, LedgerError, SettingsError
from ..runtime.fleet import ChainSettings, Fleet, ModelRef, find_root, load
from ..runtime.ledger import report_text
from ..runtime.ledger.location import connect
from ..runtime.ledger.report_text import dollars
from ..runtime.text import printable

if TYPE_CHECKING:
    from ..runtime.ledger.prices import Prices
    from ..workspace import Workspace

HELP = "check all that `ask` needs: keys, prices, checks, prompts, the ledger"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the option to ask the models."""
    live = "send one small request to each model, which is billed, and show what came of it"
    parser.add_argument("--live", action="store_true", help=live)


def run(options: argparse.Namespace) -> int:
    """Check the workspace; exit status 1 where `ask` cannot work, or a model did not answer with --live."""
    root = find_root()
    fleet = load(root / "fleet.toml")
    _expect_loadable()
    found = list(_diagnose(root, fleet))
    head = ("chain", "model", "key", "price per million tokens")
    print(report_text.table(head, list(_rows(root, fleet))))
    with suppress(LedgerError):  # that it cannot be used is among the problems
        print(f"\nTemplate {_template_version(root)}, ledger {ledger_location(root)}")
    for note in (one for one in found if isinstance(one, str)):
        print(printable(f"note: {note}"))
    problems = {str(one): one for one in found if isinstance(one, FleetError)}
    for problem in problems.values():
        print(printable(f"problem: {problem.problem}"))
        if problem.hint:
            print(printable(f"hint: {problem.hint}"))
    failed = 0
    # A problem of one stage does not keep the models of others from being asked.
    with suppress(SettingsError) if problems else nullcontext():
        failed = asyncio.run(_ask_all(root, fleet)) if options.live else 0
    return 1 if problems or failed else 0


def _expect_loadable() -> object:
    """Load all that `ask` would. Raises SettingsError where a module or a package is broken."""
    try:
        from .. import wiring

        return wiring
    except Exception as error:  # whatever a module of the team raises
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(
            f"The workspace cannot be loaded ({reason})", "run `uv sync`"
        ) from error


def _rows(root: Path, fleet: Fleet) -> Iterator[list[object]]:
    prices = None
    with suppress(FleetError):  # that they cannot be read is among the problems
        prices = load_prices(root, fleet)
    for name, chain in fleet.chains.items():
        for ref in chain.models:
            state = "unknown provider"
            with suppress(FleetError):
                missing = missing_keys(ref, fleet)
                keys = (f"{k} {'not set' if k in missing else 'set'}" for k in keys_of(ref, fleet))
                state = ", ".join(keys) or "no key needed"
            yield [name, str(ref), state, _price(ref, prices) if prices else "-"]


def _price(ref: ModelRef, prices: "Prices") -> str:
    """Return `$0.25 in, $2.00 out`, and the name of that entry in the list where it is another."""
    from genai_prices import Usage

    # Of a short request: long ones have a price of their own in some lists.
    usages = (Usage(input_tokens=1000), Usage(output_tokens=1000))
    costs = [prices.cost(ref, usage, seconds=0).nano_usd for usage in usages]
    known = prices.find_name(ref)
    if known is None or None in costs:
        return "unpriced"
    asked, answered = (dollars((nano or 0) * 1000) for nano in costs)
    return f"{asked} in, {answered} out" + ("" if known == ref.model else f" (as {known})")


def _diagnose(root: Path, fleet: Fleet) -> Iterator[FleetError | str]:
    """Yield an error for each thing that keeps `ask` from working, and notes on what does not."""
    from ..diagnoses import DIAGNOSES

    stages, asked = {**fleet.agents, **fleet.stages}, {*_sub_agents(), "answer"}
    checks: list[Callable[[], object]] = [
        lambda: require_parts(fleet),
        read_environment,
        *(partial(make_checks, name, stage.checks) for name, stage in stages.items()),
        lambda: load_prices(root, fleet),
        lambda: _expect_writable_ledger(root),
        *(partial(_expect_prompt, name) for name in stages if name in asked),
        *(partial(_expect_key, name, fleet) for name in fleet.chains),
    ]
    for check in checks:
        try:
            check()
        except FleetError as error:
            yield error
    yield from find_missing_tables(fleet)
    for diagnose in DIAGNOSES:
        try:
            yield from diagnose(root, fleet)
        except FleetError as error:
            yield error


def find_missing_tables(fleet: Fleet) -> Iterator[SettingsError]:
    """Yield what the code asks for and fleet.toml does not have, and the other way round."""
    from .. import wiring

    for name in sorted(_sub_agents()):
        if not fleet.stage(name).chain:
            table = f"[agents.{name}]" if name in wiring.AGENTS else f"[stages.{name}]"
            yield SettingsError(f"Sub-agent {name} has no chain", f"add {table} to fleet.toml")
    for name in fleet.agents:
        if name not in wiring.AGENTS:
            problem = f"[agents.{name}] of fleet.toml is not a sub-agent of wiring.py"
            yield SettingsError(problem, f"run `scaffold add agent {name}`")
    for name in getattr(wiring.ROUTER, "CHAINS", ()):
        if name not in fleet.chains:
            problem = f"The router sends requests to chain {name}, which is not in fleet.toml"
            yield SettingsError(problem, f"add [chains.{name}]")


def _sub_agents() -> set[str]:
    """Return the names of the sub-agents that the code asks."""
    from .. import wiring

    folder = f"{wiring.__package__}.agents."
    modules = {name: module for name, module in sys.modules.items() if name.startswith(folder)}
    # A module of helpers beside the sub-agents has no stage.
    asked = {name for name, module in modules.items() if "SubAgent" in vars(module)}
    asked = {name.removeprefix(folder) for name in asked} | {*wiring.AGENTS}
    # A router names the chain that answers; without one, the stage's own is asked.
    return asked if hasattr(wiring.ROUTER, "CHAINS") else {*asked, "answer"}


def _expect_prompt(stage: str) -> None:
    from ..runtime.subagent import SubAgent

    SubAgent(stage, str).prompt()


def _expect_key(chain: str, fleet: Fleet) -> None:
    """Raise SettingsError where no model of a chain has its keys, or a provider is unknown."""
    unset = [missing_keys(ref, fleet) for ref in fleet.chains[chain].models]
    if all(unset):
        keys = dict.fromkeys(key for keys in unset for key in keys)
        raise SettingsError(f"Chain {chain} has no key", f"set {' or '.join(keys)}")


def _expect_writable_ledger(root: Path) -> None:
    """Raise LedgerError where no row could be written; nothing is made where nothing is."""
    location = ledger_location(root)
    if isinstance(location, Path) and not location.exists():
        folder = next(one for one in location.parents if one.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise LedgerError(f"The ledger cannot be made in {folder}", "make it a writable folder")
        return
    connect(location).close()


async def _ask_all(root: Path, fleet: Fleet) -> int:
    """Ask every model once; return how many did not answer."""
    from ..workspace import Workspace

    refs = dict.fromkeys(ref for chain in fleet.chains.values() for ref in chain.models)
    # Each model on a chain of its own: no other one answers for it.
    alone = {str(ref): ChainSettings(models=(ref,)) for ref in refs}
    async with Workspace(root, fleet.model_copy(update={"chains": alone}), None) as workspace:
        workspace.environment = "doctor"
        rows = [await _ask(workspace, ref) for ref in refs]
    print(f"\n{report_text.table(['model', 'answer', 'ms', 'cost', 'reason'], rows)}")
    return sum(row[1] not in ("answers", "no key") for row in rows)


async def _ask(workspace: "Workspace", ref: ModelRef) -> list[object]:
    """Ask a model once; return its row of the table: answer, time, cost, and why there is none."""
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest

    from ..runtime.request import Request
    from ..runtime.run import Stage, current
    from ..runtime.subagent import SubAgent

    if missing := missing_keys(ref, workspace.fleet):
        return [str(ref), "no key", None, None, " ".join(missing)]
    run = workspace.start(Request("Answer with the one word OK."))
    current.set(Stage(run, SubAgent("doctor", str, human=False)))
    started = time.perf_counter()
    answer, reason = "answers", ""
    try:
        prompt = ModelRequest.user_text_prompt(run.request.text)
        await model_request(workspace.chains[str(ref)], [prompt])
    except FleetError as error:
        answer = run.attempts[-1].error_type if run.attempts else "failed"
        reason = "" if run.attempts else str(error)
    took = round((time.perf_counter() - started) * 1000)
    return [str(ref), answer, took, dollars(run.spent_nano() or None), reason]


def _template_version(root: Path) -> str:
    path = root / ".copier-answers.yml"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line[9:] for line in lines if line.startswith("_commit: ")), "unknown")
