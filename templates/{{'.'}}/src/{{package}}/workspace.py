"""The whole flow on one page: choose a route, run its pipeline, return the answer and its cost."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic_ai.models import Model

from . import wiring
from .runtime import fleet as settings
from .runtime.attempt import Check, Human, Shared, Texts
from .runtime.chain import Chain
from .runtime.errors import Escalated, SettingsError
from .runtime.failures import ALWAYS, Candidate
from .runtime.fleet import Fleet, ModelRef, Provider
from .runtime.ledger import queries
from .runtime.ledger.prices import Prices, Spending
from .runtime.ledger.store import Ledger, LedgerSettings, Location, database_path
from .runtime.run import Request, Route, Run, SubAgent

Pipeline = Callable[[Run, Route], Awaitable[Any]]
BuildModel = Callable[[ModelRef], Model]
Wired = TypeVar("Wired")

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
    """The plain pipeline: the route's sub-agent answers on the route's chain."""
    agent = _find("Sub-agent", route.agent, run.agents)
    return await run.ask(agent, run.request.text, chain=route.chain)


AGENTS: Mapping[str, SubAgent[Any]] = {"answer": ANSWER, **wiring.AGENTS}
PIPELINES: Mapping[str, Pipeline] = {"answer": answer, **wiring.PIPELINES}


class Workspace:
    """Open it once, use it for many requests, close it: `async with Workspace.open() as w`."""

    def __init__(self, root: Path, fleet: Fleet, build: BuildModel | None) -> None:
        self.fleet = fleet
        self.environment = os.environ.get("FLEET_ENVIRONMENT", "production")
        self._stack = AsyncExitStack()
        self._checks = _checks(fleet)
        self._human = _human(root, fleet)
        for name, agent in fleet.agents.items():
            for key in agent.further:
                _find(f"fleet.toml: agents.{name}: key", key, wiring.AGENT_KEYS)
        prices, location = load_prices(root), database_path(root)
        self._candidates = candidates(fleet, prices, build)
        books = fleet.section("ledger", LedgerSettings)
        texts, self.ledger = _texts(location, books), Ledger(location, books)
        spending = Spending(fleet.budgets, partial(queries.month_by_task, location))
        shared = Shared(
            self.ledger, prices, spending, fleet.permits, self._human, wiring.STREAM, texts
        )
        self._under_way = shared.under_way
        asked = {
            name: [self._candidates[ref] for ref in chain.models]
            for name, chain in fleet.chains.items()
        }
        self.chains = {
            name: Chain(name, chain, asked[name], shared, asked.get("cheap", ()))
            for name, chain in fleet.chains.items()
        }

    @classmethod
    def open(cls, root: Path | None = None, *, build: BuildModel | None = None) -> Self:
        """Read the settings and open the ledger; `build` stands in for the providers (tests).

        Raises SettingsError or LedgerError. Keys are looked for when a chain is used.
        """
        root = root or settings.find_root()
        return cls(root, settings.load(root / "fleet.toml"), build)

    async def __aenter__(self) -> Self:
        self._stack.callback(self.ledger.close)
        if self._human:
            self._stack.push_async_callback(self._human.aclose)
        for candidate in self._candidates.values():
            self._stack.push_async_callback(candidate.close)
        self._stack.push_async_callback(self._cancel_calls)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Calls that are still under way are cancelled, and in the ledger as aborted."""
        await self._stack.aclose()

    async def _cancel_calls(self) -> None:
        tasks = {task for task in self._under_way.values() if task} - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        """A run that has asked nothing yet."""
        return Run(
            request,
            self.fleet,
            self.chains,
            environment=self.environment,
            agents=AGENTS,
            checks=self._checks,
            agent_keys=wiring.AGENT_KEYS,
        )

    async def _answer(self, run: Run, route: Route) -> Answer:
        pipeline, run.pipeline = _find("Pipeline", route.pipeline, PIPELINES), route.pipeline
        try:
            output = await pipeline(run, route)
        except Escalated as handed:
            if self._human:
                self._human.keep(run, handed.ticket)
            cost = run.cost_nano_usd()
            return Answer(None, "escalated", route, cost, run.id, handed.ticket)
        return Answer(output, "answered", route, run.cost_nano_usd(), run.id)


def candidates(
    fleet: Fleet, prices: Prices, build: BuildModel | None = None
) -> dict[ModelRef, Candidate]:
    """Every model of the chains, each once: what one chain learns of it, the others know."""
    refs = dict.fromkeys(ref for chain in fleet.chains.values() for ref in chain.models)
    limits = {ref.place: fleet.limit(ref) for ref in refs}
    gates = {place: asyncio.Semaphore(limit) for place, limit in limits.items() if limit}
    return {
        ref: Candidate(
            ref,
            partial(build or partial(_build, fleet), ref),
            missing_keys=() if build else missing_keys(ref, fleet),
            window=prices.context_window(ref),
            circuits=fleet.circuits,
            gate=gates.get(ref.place) or nullcontext(),
        )
        for ref in refs
    }


def _build(fleet: Fleet, ref: ModelRef) -> Model:
    return provider_of(ref).build(ref.model, fleet.deployment(ref))


def missing_keys(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    return tuple(key for key in keys_of(ref, fleet) if not os.environ.get(key))


def keys_of(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    """The environment variables a model needs where its deployment says no better."""
    return provider_of(ref).keys(fleet.deployment(ref))


def provider_of(ref: ModelRef) -> Provider:
    return _find("fleet.toml: provider", ref.provider, wiring.PROVIDERS)


def load_prices(root: Path) -> Prices:
    """List prices of the wired providers, and the team's prices.toml."""
    list_ids = {name: provider.PRICES for name, provider in wiring.PROVIDERS.items()}
    return Prices.load(root / "prices.toml", list_ids)


def _find(what: str, name: str, wired: Mapping[str, Wired], more: str = "") -> Wired:
    try:
        return wired[name]
    except KeyError:
        known = ", ".join(wired) or "nothing"
        raise SettingsError(
            f"{what} '{name}' is none of what wiring.py connects: {known}.{more}"
        ) from None


def _checks(fleet: Fleet) -> dict[str, list[Check]]:
    """The checks that fleet.toml names, by stage, beyond those that every completion gets."""
    stages = {**fleet.agents, **fleet.stages}
    found = {name: [_check(name, text) for text in stage.checks] for name, stage in stages.items()}
    return {name: [check for check in checks if check] for name, checks in found.items()}


def _check(stage: str, text: str) -> Check | None:
    name, _, argument = text.partition(":")
    more = " More come with `scaffold add extra quality_checks`, or `grounded`."
    make = _find("Check", name, {**dict.fromkeys(ALWAYS), **wiring.CHECKS}, more)
    try:
        return make(argument) if make else None
    except ValueError as error:
        raise SettingsError(f"fleet.toml: checks of {stage}: {text}: {error}.") from None


def _human(root: Path, fleet: Fleet) -> Human | None:
    if wiring.HUMAN:
        return wiring.HUMAN(root, fleet)
    rules = [fleet.budgets.at_limit]
    rules += [how for c in fleet.chains.values() for how in (c.on_exhausted, c.on_content_filter)]
    if "human" in rules:
        raise SettingsError('fleet.toml: "human" needs `scaffold add extra escalation`.')
    return None


def _texts(location: Location, books: LedgerSettings) -> Texts | None:
    if wiring.TEXTS:
        return wiring.TEXTS(location, books)
    if books.record_content:
        raise SettingsError("fleet.toml: record_content needs `scaffold add extra content`.")
    return None
