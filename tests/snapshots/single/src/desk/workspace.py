"""The whole flow on one page: choose a route, run its pipeline, return the answer and its cost."""

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic_ai.models import Model

from . import wiring
from .runtime import fleet as settings
from .runtime.chain import Candidate, Chain
from .runtime.errors import SettingsError
from .runtime.fleet import Fleet, ModelRef, Provider
from .runtime.ledger.prices import Prices
from .runtime.ledger.store import Ledger, database_path
from .runtime.run import Request, Route, Run, SubAgent

Pipeline = Callable[[Run, Route], Awaitable[Any]]
BuildModel = Callable[[ModelRef], Model]

ANSWER = SubAgent("answer", str)


@dataclass(frozen=True, slots=True)
class Answer:
    """What `handle` returns. `cost_nano_usd` None: a model that was asked has no price."""

    output: Any
    status: str
    route: Route
    cost_nano_usd: int | None
    run_id: str


async def answer(run: Run, route: Route) -> str:
    """The plain pipeline: the route's sub-agent answers on the route's chain."""
    return await run.ask(_sub_agent(route.agent), run.request.text, chain=route.chain)


PIPELINES: Mapping[str, Pipeline] = {"answer": answer, **wiring.PIPELINES}


class Workspace:
    """Open it once, use it for many requests, close it: `async with Workspace.open() as w`."""

    def __init__(self, fleet: Fleet, chains: Mapping[str, Chain], ledger: Ledger, version: str):
        self.fleet = fleet
        self.chains = chains
        self.ledger = ledger
        self.environment = os.environ.get("FLEET_ENVIRONMENT", "production")
        self._version = version
        self._stack = AsyncExitStack()

    @classmethod
    def open(cls, root: Path | None = None, *, build: BuildModel | None = None) -> Self:
        """Read the settings and open the ledger; `build` stands in for the providers (tests).

        Raises SettingsError or LedgerError. Keys are looked for when a chain is used.
        """
        root = root or settings.find_root()
        fleet = settings.load(root / "fleet.toml")
        prices = load_prices(root)
        ledger = Ledger(database_path(root))
        chains = {
            name: Chain(
                name,
                [candidate(ref, fleet, build) for ref in chain.models],
                ledger=ledger,
                prices=prices,
                deadline_s=chain.deadline_s,
            )
            for name, chain in fleet.chains.items()
        }
        version = hashlib.sha256((root / "fleet.toml").read_bytes()).hexdigest()[:12]
        return cls(fleet, chains, ledger, version)

    async def __aenter__(self) -> Self:
        self._stack.callback(self.ledger.close)
        for chain in self.chains.values():
            await self._stack.enter_async_context(chain)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

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
        return run

    async def _answer(self, run: Run, route: Route) -> Answer:
        run.pipeline = route.pipeline
        output = await _pipeline(route.pipeline)(run, route)
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


def candidate(ref: ModelRef, fleet: Fleet, build: BuildModel | None = None) -> Candidate:
    """A chain's entry, with the environment variables it lacks. Raises SettingsError."""
    if build is not None:
        return Candidate(ref, partial(build, ref))
    provider = provider_of(ref)
    deployment = fleet.deployment(ref)
    missing = tuple(key for key in keys_of(ref, fleet) if not os.environ.get(key))
    return Candidate(ref, partial(provider.build, ref.model, deployment), missing)


def keys_of(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    """The environment variables a model needs; a deployment may name its own key."""
    keys = provider_of(ref).KEYS
    own = fleet.deployment(ref).key_env
    return (own, *keys[1:]) if own else keys


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
