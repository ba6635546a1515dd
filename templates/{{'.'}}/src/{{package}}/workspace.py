"""The whole flow on one page: choose a route, run its pipeline, return the answer and its cost."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic_ai.models import Model

from . import wiring
from .runtime import fleet as settings
from .runtime.attempt import Candidate, Check, Human, Shared
from .runtime.chain import Chain
from .runtime.errors import Escalated, SettingsError
from .runtime.failures import ALWAYS
from .runtime.fleet import Fleet, ModelRef, Provider
from .runtime.ledger import queries
from .runtime.ledger.prices import Prices, Spending
from .runtime.ledger.store import Ledger, LedgerSettings, database_path
from .runtime.run import Request, Route, Run, SubAgent

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
    """The plain pipeline: the route's sub-agent answers on the route's chain."""
    return await run.ask(_sub_agent(route.agent), run.request.text, chain=route.chain)


PIPELINES: Mapping[str, Pipeline] = {"answer": answer, **wiring.PIPELINES}


class Workspace:
    """Open it once, use it for many requests, close it: `async with Workspace.open() as w`."""

    def __init__(self, root: Path, fleet: Fleet, build: BuildModel | None) -> None:
        self.fleet = fleet
        self.environment = os.environ.get("FLEET_ENVIRONMENT", "production")
        self._checks = {name: _checks(name, stage.checks) for name, stage in fleet.stages.items()}
        self._version = hashlib.sha256((root / "fleet.toml").read_bytes()).hexdigest()[:12]
        self._stack = AsyncExitStack()
        prices, self._human = load_prices(root), _human(root, fleet)
        self._candidates = candidates(fleet, prices, build)
        location = database_path(root)
        self.ledger = Ledger(location, fleet.section("ledger", LedgerSettings))
        spending = Spending(fleet.budgets, partial(queries.month_by_task, location))
        shared = Shared(self.ledger, prices, spending, fleet.permits, self._human, wiring.STREAM)
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
        run = self._start(request)
        route = await wiring.ROUTER.choose(run)
        return await self._answer(run, route)

    async def run(self, pipeline: str, request: Request) -> Answer:
        """Run one pipeline by name, past the router. Raises FleetError."""
        run = self._start(request)
        route = Route(self.fleet.stages["answer"].chain, "asked for by name", "fixed", pipeline)
        return await self._answer(run, route)

    def _start(self, request: Request) -> Run:
        run = Run(request, self.fleet, self.chains, self.environment, self._version)
        run.agents = {ANSWER.name: ANSWER, **wiring.AGENTS}
        run.toolsets = wiring.TOOLSETS
        run.checks = self._checks
        return run

    async def _answer(self, run: Run, route: Route) -> Answer:
        run.pipeline = route.pipeline
        try:
            output = await _pipeline(route.pipeline)(run, route)
        except Escalated as handed:
            if self._human:
                self._human.keep(run, handed.ticket)
            cost = run.cost_nano_usd()
            return Answer(None, "escalated", route, cost, run.id, handed.ticket)
        return Answer(output, "answered", route, run.cost_nano_usd(), run.id)


def _pipeline(name: str) -> Pipeline:
    try:
        return PIPELINES[name]
    except KeyError:
        known = ", ".join(PIPELINES)
        raise SettingsError(f"There is no pipeline '{name}': choose from {known}.") from None


def _sub_agent(name: str) -> SubAgent[Any]:
    if name == ANSWER.name:
        return ANSWER
    try:
        return wiring.AGENTS[name]
    except KeyError:
        raise SettingsError(
            f"Sub-agent '{name}' is in fleet.toml but not in wiring.py: add it to AGENTS."
        ) from None


def _checks(stage: str, named: Sequence[str]) -> list[Check]:
    """The checks that fleet.toml names for a stage, beyond those that every completion gets."""
    found: list[Check] = []
    for text in named:
        name, _, argument = text.partition(":")
        if name in ALWAYS:
            continue
        if name not in wiring.CHECKS:
            known = ", ".join([*ALWAYS, *wiring.CHECKS])
            raise SettingsError(f"fleet.toml: stages.{stage}.checks: '{name}' is none of {known}.")
        try:
            found.append(wiring.CHECKS[name](argument))
        except ValueError as error:
            raise SettingsError(f"fleet.toml: stages.{stage}.checks: {text}: {error}.") from None
    return found


def _human(root: Path, fleet: Fleet) -> Human | None:
    if wiring.HUMAN:
        return wiring.HUMAN(root, fleet)
    rules = [fleet.budgets.at_limit]
    rules += [how for c in fleet.chains.values() for how in (c.on_exhausted, c.on_content_filter)]
    if "human" in rules:
        raise SettingsError('fleet.toml: "human" needs `scaffold add extra escalation`.')
    return None


def candidates(
    fleet: Fleet, prices: Prices, build: BuildModel | None = None
) -> dict[ModelRef, Candidate]:
    """Every model of the chains, each once: what one chain learns of it, the others know."""
    refs = {ref: None for chain in fleet.chains.values() for ref in chain.models}
    limits = {ref.place: fleet.limit(ref) for ref in refs}
    gates = {place: asyncio.Semaphore(limit) for place, limit in limits.items() if limit}
    return {
        ref: Candidate(
            ref,
            partial(build, ref) if build else _builder(ref, fleet),
            missing_keys=() if build else missing_keys(ref, fleet),
            window=partial(prices.context_window, ref),
            circuits=fleet.circuits,
            gate=gates.get(ref.place),
        )
        for ref in refs
    }


def _builder(ref: ModelRef, fleet: Fleet) -> Callable[[], Model]:
    return partial(provider_of(ref).build, ref.model, fleet.deployment(ref))


def missing_keys(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    return tuple(key for key in keys_of(ref, fleet) if not os.environ.get(key))


def keys_of(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    """The environment variables a model needs where its deployment says no better."""
    return provider_of(ref).keys(fleet.deployment(ref))


def load_prices(root: Path) -> Prices:
    """List prices of the wired providers, and the team's prices.toml."""
    list_ids = {name: provider.PRICES for name, provider in wiring.PROVIDERS.items()}
    return Prices.load(root / "prices.toml", list_ids)


def provider_of(ref: ModelRef) -> Provider:
    try:
        return wiring.PROVIDERS[ref.provider]
    except KeyError:
        known = ", ".join(wiring.PROVIDERS)
        raise SettingsError(
            f"fleet.toml: {ref} needs provider '{ref.provider}', which is not wired; use {known}."
        ) from None
