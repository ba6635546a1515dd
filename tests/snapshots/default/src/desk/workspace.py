"""The whole flow on one page: choose a route, run its pipeline, return the answer and its cost."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic_ai.models import Model

from . import wiring
from .configuration import (
    find_part,
    ledger_location,
    load_prices,
    make_checks,
    missing_keys,
    provider_of,
    read_environment,
    require_parts,
)
from .runtime.budgets import Spending
from .runtime.candidates import Candidate
from .runtime.chain import Chain
from .runtime.errors import Escalated
from .runtime.fleet import Deployment, Fleet, ModelRef, find_root, load
from .runtime.ledger import queries
from .runtime.ledger.location import LedgerSettings
from .runtime.ledger.prices import Prices
from .runtime.ledger.writer import Ledger
from .runtime.redaction import hide_in_logs
from .runtime.request import Request, Route
from .runtime.run import Run
from .runtime.shared import Shared
from .runtime.subagent import SubAgent

Pipeline = Callable[[Run, Route], Awaitable[Any]]
BuildModel = Callable[[ModelRef], Model]

ANSWER = SubAgent("answer", str)


@dataclass(frozen=True, slots=True)
class Answer:
    """What `handle` returns: status "answered", or "escalated" and the `ticket` to wait for.

    `cost_nano_usd` None: a model that was asked has no price.
    """

    output: Any
    status: str
    route: Route
    cost_nano_usd: int | None
    run_id: str
    ticket: str | None = None


async def answer(run: Run, route: Route) -> str:
    """Ask the route's sub-agent on the route's chain: the plain pipeline."""
    agent = find_part("Sub-agent", route.agent, run.agents)
    return await run.ask(agent, run.request.text, chain=route.chain)


AGENTS: Mapping[str, SubAgent[Any]] = {"answer": ANSWER, **wiring.AGENTS}
PIPELINES: Mapping[str, Pipeline] = {"answer": answer, **wiring.PIPELINES}


class Workspace:
    """Open it once, use it for many requests, close it: `async with Workspace.open() as w`."""

    @classmethod
    def open(cls, root: Path | None = None, *, build: BuildModel | None = None) -> Self:
        """Read the settings and open the ledger; `build` stands in for the providers (tests).

        Raises SettingsError or LedgerError. Keys are looked for when a chain is used.
        """
        root = root or find_root()
        return cls(root, load(root / "fleet.toml"), build)

    async def handle(self, request: Request) -> Answer:
        """Answer one request. Raises FleetError when no model could."""
        run = self.start(request)
        return await self._answer(run, await wiring.ROUTER.choose(run))

    async def run(self, pipeline: str, request: Request) -> Answer:
        """Run one pipeline by name, past the router. Raises FleetError."""
        chain = self.fleet.stage("answer").chain
        route = Route(chain, "asked for by name", "fixed", pipeline)
        return await self._answer(self.start(request), route)

    def start(self, request: Request) -> Run:
        """Return a run that has asked nothing yet."""
        return Run(
            request,
            self.fleet,
            self.chains,
            self.environment,
            AGENTS,
            self._checks,
            self._equip,
            self.ledger,
        )

    async def _answer(self, run: Run, route: Route) -> Answer:
        pipeline = find_part("Pipeline", route.pipeline, PIPELINES)
        run.pipeline = route.pipeline
        try:
            output = await pipeline(run, route)
        except Escalated as handed:
            if self._human:
                self._human.keep(run, handed.ticket)
            return Answer(None, "escalated", route, run.cost_nano_usd(), run.id, handed.ticket)
        return Answer(output, "answered", route, run.cost_nano_usd(), run.id)

    def __init__(self, root: Path, fleet: Fleet, build: BuildModel | None) -> None:
        hide_in_logs()
        self.fleet = fleet
        self.environment = read_environment()
        books = fleet.section("ledger", LedgerSettings)
        require_parts(fleet)
        stages = {**fleet.agents, **fleet.stages}
        self._checks = {name: make_checks(name, stage.checks) for name, stage in stages.items()}
        # A class starts things that end with this workspace, in its `aclose`.
        self._equip = {
            key: equip() if isinstance(equip, type) else equip
            for key, equip in wiring.AGENT_KEYS.items()
        }
        self._human = wiring.HUMAN(root, fleet) if wiring.HUMAN else None
        prices, location = load_prices(root, fleet), ledger_location(root)
        models = _make_candidates(fleet, prices, build)
        self._candidates = models.values()
        texts = wiring.TEXTS(location, books) if wiring.TEXTS else None
        self.ledger = Ledger(location, books)
        spending = Spending(fleet.budgets, partial(queries.month_by_task, location))
        shared = Shared(
            ledger=self.ledger,
            prices=prices,
            spending=spending,
            permits=fleet.permits,
            human=self._human,
            stream=wiring.STREAM,
            texts=texts,
        )
        self._under_way = shared.under_way
        self._ending = ExitStack()
        self.chains = _make_chains(fleet, models, shared)

    async def __aenter__(self) -> Self:
        _end_in_order(self._ending)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the calls that are still under way: the ledger has them as aborted."""
        async with AsyncExitStack() as closing:
            closing.callback(self._ending.close)
            closing.callback(self.ledger.close)
            if self._human:
                closing.push_async_callback(self._human.aclose)
            for candidate in self._candidates:
                closing.push_async_callback(candidate.close)
            for close in (getattr(equip, "aclose", None) for equip in self._equip.values()):
                if close:
                    closing.push_async_callback(close)
            tasks = {task for task in self._under_way.values() if task} - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _end_in_order(closing: ExitStack) -> None:
    """Take SIGTERM as Ctrl-C is taken: cancel this task, and end when all is closed.

    Where the program has a handler of its own, or this is not its main thread, nothing changes.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        loop.remove_signal_handler(signal.SIGTERM)  # a second one ends it at once
        closing.callback(signal.raise_signal, signal.SIGTERM)
        if task:
            task.cancel()

    with suppress(ValueError, RuntimeError):  # not in the main thread; Windows
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            loop.add_signal_handler(signal.SIGTERM, end)
            closing.callback(loop.remove_signal_handler, signal.SIGTERM)


def _make_chains(
    fleet: Fleet, models: Mapping[ModelRef, Candidate], shared: Shared
) -> dict[str, Chain]:
    """Make the chains; each has the cheap one's models for a budget that is used up."""
    asked = {name: [models[ref] for ref in rules.models] for name, rules in fleet.chains.items()}
    return {
        name: Chain(
            name,
            rules=rules,
            candidates=asked[name],
            shared=shared,
            cheap=asked.get("cheap", ()),
        )
        for name, rules in fleet.chains.items()
    }


def _build_model(ref: ModelRef, deployed: Deployment) -> Model:
    model = provider_of(ref).build(ref.model, deployed)
    return wiring.ADAPT(model) if wiring.ADAPT else model


def _make_candidates(
    fleet: Fleet, prices: Prices, build: BuildModel | None
) -> dict[ModelRef, Candidate]:
    """Make every model of the chains once: what one chain learns of it, the others know."""
    gates: dict[str, AbstractAsyncContextManager[Any]] = {}
    found: dict[ModelRef, Candidate] = {}
    for ref in dict.fromkeys(ref for chain in fleet.chains.values() for ref in chain.models):
        deployed = fleet.deployment(ref)
        limit = deployed.max_concurrent or fleet.limits.get(ref.place)
        found[ref] = Candidate(
            ref=ref,
            build=partial(build, ref) if build else partial(_build_model, ref, deployed),
            missing_keys=() if build else missing_keys(ref, fleet),
            window=prices.context_window(ref),
            circuits=fleet.circuits,
            gate=gates.setdefault(ref.place, asyncio.Semaphore(limit) if limit else nullcontext()),
        )
    return found
