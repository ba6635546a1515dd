"""`doctor`: everything that `ask` would trip over, and what to do about each of it."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ..configuration import ledger_location
from ..runtime.errors import FleetError, LedgerError, SettingsError
from ..runtime.fleet import Fleet, ModelRef, Settings, find_root, load
from ..runtime.ledger import queries, report_text
from ..runtime.ledger.attempt import DAY_US
from ..runtime.ledger.location import Location, connect
from ..runtime.ledger.report_text import dollars
from ..runtime.text import printable

if TYPE_CHECKING:
    from ..runtime.ledger.prices import Prices
    from ..workspace import Workspace

HELP = "check all that `ask` needs: keys, prices, checks, prompts, budgets, the ledger"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the option to ask the models."""
    live = "send one small request to each model, which is billed, and show what came of it"
    parser.add_argument("--live", action="store_true", help=live)


def run(options: argparse.Namespace) -> int:
    """Check the workspace; exit status 1 where `ask` cannot work, or a model did not answer with --live."""
    root = find_root()
    settings = load(root / "fleet.toml")
    _expect_loadable()
    problems = list(_problems(root, settings))
    print(
        report_text.table(
            ["chain", "model", "key", "price per million tokens"], _rows(root, settings)
        )
    )
    with suppress(LedgerError):  # that it cannot be used is among the problems
        print(f"\nTemplate {_template_version(root)}, ledger {ledger_location(root)}")
    for note in _notes(root, settings):
        print(printable(f"note: {note}"))
    for problem in problems:
        print(printable(f"problem: {problem}"))
    failed = 0
    # A problem of one stage does not keep the models of others from being asked.
    with suppress(SettingsError) if problems else nullcontext():
        failed = asyncio.run(_live(settings)) if options.live else 0
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


def _rows(root: Path, settings: Fleet) -> list[list[object]]:
    from ..configuration import keys_of, missing_keys

    prices, rows = _prices(root), list[list[object]]()
    for name, chain in settings.chains.items():
        for ref in chain.models:
            state = "unknown provider"
            with suppress(FleetError):
                missing = missing_keys(ref, settings)
                keys = (
                    f"{k} {'not set' if k in missing else 'set'}" for k in keys_of(ref, settings)
                )
                state = ", ".join(keys) or "no key needed"
            rows.append([name, str(ref), state, _price(ref, prices) if prices else "-"])
    return rows


def _prices(root: Path) -> "Prices | None":
    """Return the prices; None where prices.toml cannot be read, which is a problem of its own."""
    from ..configuration import load_prices

    with suppress(FleetError):
        return load_prices(root)
    return None


def _price(ref: ModelRef, prices: "Prices") -> str:
    """Return `$0.10 in, $0.50 out`, and the name of that entry in the list where it is another."""
    from genai_prices import Usage

    # Of a short request: long ones have a price of their own in some lists.
    usages = (Usage(input_tokens=1000), Usage(output_tokens=1000))
    cost = [prices.cost(ref, usage, seconds=0).nano_usd for usage in usages]
    known = prices.known(ref)
    if known is None or None in cost:
        return "unpriced"
    asked, answered = (_cents(dollars((nano or 0) * 1000)) for nano in cost)
    return f"{asked} in, {answered} out" + ("" if known == ref.model else f" (as {known})")


def _cents(text: str) -> str:
    """Return `$0.10` for `$0.1`."""
    return text + "0" if text[-2:-1] == "." else text


def _problems(root: Path, settings: Fleet) -> Iterator[str]:
    """Yield what keeps `ask` from working, each with what to do."""
    from .. import configuration

    attempts: list[Callable[[], object]] = [lambda: configuration.require_parts(settings)]
    stages = {**settings.agents, **settings.stages}
    attempts += [
        lambda name=name, stage=stage: configuration.make_checks(name, stage.checks)
        for name, stage in stages.items()
    ]
    attempts += [
        lambda: configuration.load_prices(root),
        lambda: _expect_writable(ledger_location(root)),
    ]
    attempts += [lambda name=name: _expect_prompt(name) for name in stages]
    for attempt in attempts:
        try:
            attempt()
        except FleetError as error:
            yield str(error)
    yield from settings_problems(settings, _prices(root))
    yield from _of_chains(settings)
    yield from _of_agents(settings)
    yield from _of_budgets(root, settings)
    yield from _of_servers(settings)


def _expect_writable(location: Location) -> None:
    """Raise LedgerError where no row could be written; nothing is made where nothing is."""
    if isinstance(location, Path) and not location.exists():
        folder = next(one for one in location.parents if one.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise LedgerError(f"The ledger cannot be made in {folder}", "make it a writable folder")
        return
    connect(location).close()


def _expect_prompt(stage: str) -> None:
    """Raise SettingsError where a sub-agent of this workspace has no readable prompt."""
    from .. import wiring
    from ..runtime.subagent import PROMPTS, SubAgent

    if (
        stage in wiring.AGENTS
        or stage == "answer"
        or (PROMPTS.parent / "agents" / f"{stage}.py").exists()
    ):
        SubAgent(stage, str).prompt()


def settings_problems(fleet: Fleet, prices: "Prices | None") -> Iterator[str]:
    """Yield what no request could get past, each with what to do."""
    yield from _of_tables(fleet)
    yield from _of_stages(fleet)
    yield from _of_addresses(fleet)
    if prices:
        yield from _of_caps(fleet, prices)


def _without_effect(fleet: Fleet, prices: "Prices | None") -> Iterator[str]:
    """Yield what has no effect, or not the one it seems to have."""
    from .. import wiring

    for table in fleet.model_extra or {}:
        close = get_close_matches(table, [*Fleet.model_fields, "ledger"], 1, 0.75)
        if close and table not in close:
            yield f"Nothing reads [{table}] of fleet.toml: did you mean [{close[0]}]?"
    refs = {ref for chain in fleet.chains.values() for ref in chain.models}
    stages = {**fleet.agents, **fleet.stages}
    tasks = {stage.task_type or name for name, stage in stages.items()}
    models = {str(ref) for ref in refs} | {str(fleet.baseline_model)}
    for table, named, known in (
        ("[limits]", fleet.limits, {ref.place for ref in refs}),
        ("[data]", fleet.data.further, {ref.place for ref in refs}),
        ("task_usd", fleet.budgets.task_usd, tasks),
        ("prices.toml", prices.own if prices else (), models),
    ):
        for name in sorted({*named} - known):
            close = get_close_matches(name, known, 1)
            hint = f": did you mean {close[0]}?" if close else "."
            yield f"{table} names {name}, which nothing in fleet.toml asks{hint}"
    model = fleet.baseline_model if wiring.SAVING else None
    if model and prices and not prices.known(model):
        yield f"The saving cannot be told: {model} of [baseline] has no price. Add it to prices.toml."


def _of_tables(fleet: Fleet) -> Iterator[str]:
    """Check the tables that a router, pipeline, search or key of a sub-agent reads, by module."""
    from .. import wiring

    pipelines = [getattr(pipeline, "func", pipeline) for pipeline in wiring.PIPELINES.values()]
    wired = [type(wiring.ROUTER), *pipelines, *wiring.AGENT_KEYS.values()]
    searches: Mapping[str, Any] = getattr(wiring, "SEARCHES", {})
    names = [one.__module__ for one in wired] + [one.__name__ for one in searches.values()]
    for name in dict.fromkeys(names):
        table = name.rpartition(".")[2]
        for found in vars(sys.modules[name]).values():
            is_own = isinstance(found, type) and found.__module__ == name
            if is_own and issubclass(found, Settings) and found.__name__.endswith("Settings"):
                try:
                    fleet.section(table, found)
                except FleetError as error:
                    yield str(error)


def _of_stages(fleet: Fleet) -> Iterator[str]:
    """Yield stages and chains that the code asks for, and fleet.toml does not have."""
    from .. import wiring
    from ..runtime.run import FixedRouter

    agents = f"{wiring.__package__}.agents."
    for module in sorted(name for name in sys.modules if name.startswith(agents)):
        name = module.removeprefix(agents)
        # A module of helpers beside the sub-agents has no stage.
        is_asked = name not in wiring.AGENTS and "SubAgent" in vars(sys.modules[module])
        if is_asked and not fleet.stage(name).chain:
            yield f"fleet.toml: add [stages.{name}] with a chain and a task_type."
    if not fleet.stage("answer").chain and isinstance(cast(object, wiring.ROUTER), FixedRouter):
        yield "fleet.toml: add [stages.answer] with a chain and a task_type."
    for chain in getattr(wiring.ROUTER, "CHAINS", ()):
        if chain not in fleet.chains:
            yield f"fleet.toml: add [chains.{chain}], which the router sends requests to."


def _of_addresses(fleet: Fleet) -> Iterator[str]:
    """Yield addresses without a host, and keys that no header can carry."""
    from ..configuration import keys_of

    found = {f"deployments.{at}.base_url": one.base_url for at, one in fleet.deployments.items()}
    used = {ref.provider.upper() for ref in _models(fleet)}
    found |= {key: os.environ.get(key) for key in (f"{name}_BASE_URL" for name in used)}
    keys = {key for ref in _models(fleet) for key in keys_of(ref, fleet)}
    found |= {key: os.environ.get(key) for key in keys if key.endswith(("_URL", "_ENDPOINT"))}
    for name, url in found.items():
        if url and not (url.startswith(("http://", "https://")) and _host(url)):
            yield f"{name} is not an address: write http:// or https:// and a host."
    for key in sorted(keys):
        value = os.environ.get(key, "x")
        if value and (not value.strip() or not value.isascii() or not value.isprintable()):
            yield f"{key} is blank, or has characters that no key has: copy it anew."


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # a bracket that is not closed
        return None


def _of_caps(fleet: Fleet, prices: "Prices") -> Iterator[str]:
    """Yield chains in which the shortest request costs more than a call may."""
    from genai_prices import Usage

    short = Usage(input_tokens=100, output_tokens=1)  # with the prompt of its stage
    for name, chain in fleet.chains.items():
        caps = [usd for usd in (chain.max_cost_usd, fleet.budgets.call_usd) if usd]
        costs = [prices.cost(ref, short, served=ref.model).nano_usd for ref in chain.models]
        if caps and all(cost is not None and cost >= min(caps) * 10**9 for cost in costs):
            yield (
                f"No call of chain {name} can cost less than {min(caps)} US dollars: raise its "
                "max_cost_usd, or call_usd under [budgets]."
            )


def _models(fleet: Fleet) -> list[ModelRef]:
    from .. import wiring

    models = [ref for chain in fleet.chains.values() for ref in chain.models]
    return [ref for ref in models if ref.provider in wiring.PROVIDERS]


def _of_chains(settings: Fleet) -> Iterator[str]:
    from ..configuration import missing_keys

    for name, chain in settings.chains.items():
        try:
            unset = [missing_keys(ref, settings) for ref in chain.models]
        except FleetError as error:
            yield str(error)
            continue
        if all(unset):
            keys = dict.fromkeys(key for keys in unset for key in keys)
            yield f"No key for chain {name}: set {' or '.join(keys)}."
        if not any(settings.permits(ref, None) for ref in chain.models):
            yield (
                f"Data of class '{settings.data.unclassified}', which requests without a class are, "
                f"may go to no model of chain {name}: list a place for it under [data]."
            )
    if settings.budgets.at_limit == "cheap_only" and "cheap" not in settings.chains:
        yield 'at_limit = "cheap_only" needs [chains.cheap]: add it, or take another at_limit.'


def _of_agents(settings: Fleet) -> Iterator[str]:
    from .. import wiring

    for name in wiring.AGENTS:
        if not settings.stage(name).chain:
            yield f"Sub-agent {name} has no chain: add [agents.{name}] to fleet.toml."
    for name in settings.agents:
        if name not in wiring.AGENTS:
            yield f"[agents.{name}] names no sub-agent of wiring.py: run `scaffold add agent {name}`."


def _of_budgets(root: Path, settings: Fleet) -> Iterator[str]:
    budgets = settings.budgets
    with suppress(LedgerError):  # without a ledger nothing is spent
        spent = queries.month_by_task(ledger_location(root))
        limits = {"month_usd": (budgets.month_usd, spent.total())}
        limits |= {f"task_usd.{task}": (usd, spent[task]) for task, usd in budgets.task_usd.items()}
        for name, (usd, used) in limits.items():
            if usd and used >= usd.scaleb(9) and budgets.at_limit == "refuse":
                yield f"The budget {name} is used up ({dollars(used)}): raise it, or change at_limit."


def _of_servers(settings: Fleet) -> Iterator[str]:
    """Yield MCP servers whose command is not installed or whose variables are not set."""
    servers: Any = (settings.model_extra or {}).get("mcp", {})
    for name, server in servers.items():
        command: list[str] = server.get("command") or []
        if command and not shutil.which(command[0]):
            yield f"mcp.{name}: there is no command '{command[0]}': install it, or name another."
        for variable in (*server.get("env", ()), server.get("token_env")):
            if variable and not os.environ.get(variable):
                yield f"mcp.{name}: {variable} is not set: set it, or take it out of fleet.toml."


def _notes(root: Path, settings: Fleet) -> Iterator[str]:
    """Yield what works, and will not for long or not for everybody."""
    from ..runtime.failure_kinds import ALERTS

    classes = {one for places in settings.data.further.values() for one in places}
    for name, chain in settings.chains.items():
        for one in sorted(classes | set(settings.data.regions)):
            if not any(settings.permits(ref, one) for ref in chain.models):
                yield f"Data of class '{one}' may go to no model of chain {name}."
    refs = dict.fromkeys(ref for chain in settings.chains.values() for ref in chain.models)
    yield from _without_effect(settings, prices := _prices(root))
    if prices:
        yield from (
            f"{ref} is about to be withdrawn: {why}" for ref in refs if (why := prices.leaving(ref))
        )
    day_ago = time.time_ns() // 1000 - DAY_US
    with suppress(LedgerError):  # without a ledger nothing was asked
        # Models that refused us: the fallback hides them.
        for *ref, kind, times in queries.mistakes(ledger_location(root), ALERTS, day_ago):
            yield f"{ModelRef(*ref)}: {kind}, {times} times in the last day"
        today = queries.total(queries.sums(ledger_location(root), (), queries.today()))
        if alarm := report_text.alarm(today):
            yield f"Today: {alarm} See `costs`."


async def _live(settings: Fleet) -> int:
    """Ask every model once; return how many did not answer."""
    from ..workspace import Workspace

    failed = 0
    async with Workspace.open() as workspace:
        workspace.environment = "doctor"
        refs = dict.fromkeys(ref for chain in settings.chains.values() for ref in chain.models)
        rows = [await _ask(workspace, ref) for ref in refs]
        failed = sum(row[1] not in ("answers", "no key") for row in rows)
        print(f"\n{report_text.table(['model', 'answer', 'ms', 'cost', 'reason'], rows)}")
    return failed


async def _ask(workspace: "Workspace", ref: ModelRef) -> list[object]:
    """Ask a model once; return its row of the table: answer, time, cost, and why there is none."""
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest

    from ..runtime.chain import Chain
    from ..runtime.fleet import ChainSettings
    from ..runtime.request import Request
    from ..runtime.run import Stage, current
    from ..runtime.subagent import SubAgent

    of_all = [one for chain in workspace.chains.values() for one in chain.candidates]
    candidate = next(one for one in of_all if one.ref == ref)
    if candidate.missing_keys:
        return [str(ref), "no key", None, None, " ".join(candidate.missing_keys)]
    shared = next(iter(workspace.chains.values())).shared
    rules = ChainSettings(models=(ref,), deadline_s=30, max_cost_usd=None)
    run = workspace.start(Request("Answer with the one word OK."))
    token = current.set(Stage(run, SubAgent("doctor", str, human=False)))
    started = time.perf_counter()
    try:
        prompt = [ModelRequest.user_text_prompt(run.request.text)]
        chain = Chain("doctor", rules=rules, candidates=[candidate], shared=shared)
        await model_request(chain, prompt)
        answer, reason = "answers", None
    except FleetError as error:
        answer = run.attempts[-1].error_type if run.attempts else "failed"
        reason = "" if run.attempts else str(error)
    finally:
        current.reset(token)
    took = round((time.perf_counter() - started) * 1000)
    return [str(ref), answer, took, dollars(run.spent_nano() or None), reason]


def _template_version(root: Path) -> str:
    path = root / ".copier-answers.yml"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line[9:] for line in lines if line.startswith("_commit: ")), "unknown")
