"""What fleet.toml and the environment say that no request could get past; `doctor` prints it."""

import os
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic_ai.usage import RequestUsage

from .. import wiring
from .errors import FleetError
from .fleet import Fleet, ModelRef, Settings
from .ledger.prices import NANO, Prices
from .run import FixedRouter

AGENTS = Path(__file__).parents[1] / "agents"
SHORT = RequestUsage(input_tokens=100, output_tokens=1)
"""No request is smaller than this, with the prompt of its stage."""


def problems(fleet: Fleet, prices: Prices | None) -> Iterator[str]:
    """Each with what to do."""
    yield from _of_tables(fleet)
    yield from _of_stages(fleet)
    yield from _of_addresses(fleet)
    if prices:
        yield from _of_caps(fleet, prices)


def notes(fleet: Fleet, prices: Prices | None) -> Iterator[str]:
    """What has no effect, or not the one it seems to have."""
    for table in fleet.model_extra or {}:
        close = get_close_matches(table, [*Fleet.model_fields, "ledger"], 1, 0.75)
        if close and table not in close:
            yield f"Nothing reads [{table}] of fleet.toml: did you mean [{close[0]}]?"
    places = {ref.place for chain in fleet.chains.values() for ref in chain.models}
    for place in fleet.limits.keys() - places:
        yield f"limits.{place} is for no model of any chain: write it as {', '.join(sorted(places))}."
    if (model := fleet.baseline_model) and prices and not prices.known(model):
        yield f"The saving cannot be told: {model} of [baseline] has no price. Add it to prices.toml."


def _of_tables(fleet: Fleet) -> Iterator[str]:
    """The tables that a router, pipeline, search or a key of a sub-agent reads, by their module."""
    wired = [type(wiring.ROUTER), *wiring.PIPELINES.values(), *wiring.AGENT_KEYS.values()]
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
    """Stages and chains that the code asks for, and fleet.toml does not have."""
    for path in sorted(AGENTS.glob("[a-z]*.py")):
        if not fleet.stage(path.stem).chain and path.stem not in wiring.AGENTS:
            yield f"fleet.toml: add [stages.{path.stem}] with a chain and a task_type."
    if not fleet.stage("answer").chain and isinstance(wiring.ROUTER, FixedRouter):
        yield "fleet.toml: add [stages.answer] with a chain and a task_type."
    for chain in getattr(wiring.ROUTER, "CHAINS", ()):
        if chain not in fleet.chains:
            yield f"fleet.toml: add [chains.{chain}], which the router sends requests to."


def _of_addresses(fleet: Fleet) -> Iterator[str]:
    """Addresses without a host, and keys that no header can carry."""
    found = {f"deployments.{at}.base_url": one.base_url for at, one in fleet.deployments.items()}
    used = {ref.provider.upper() for ref in _models(fleet)}
    found |= {key: os.environ.get(key) for key in (f"{name}_BASE_URL" for name in used)}
    keys = {key for ref in _models(fleet) for key in _keys(ref, fleet)}
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


def _of_caps(fleet: Fleet, prices: Prices) -> Iterator[str]:
    """Chains in which the shortest request costs more than a call may."""
    for name, chain in fleet.chains.items():
        caps = [usd for usd in (chain.max_cost_usd, fleet.budgets.call_usd) if usd]
        costs = [prices.cost(ref, SHORT, served=ref.model).nano_usd for ref in chain.models]
        if caps and all(cost is not None and cost >= min(caps) * NANO for cost in costs):
            yield (
                f"No call of chain {name} can cost less than {min(caps)} US dollars: raise its "
                "max_cost_usd, or call_usd under [budgets]."
            )


def _models(fleet: Fleet) -> Iterator[ModelRef]:
    for chain in fleet.chains.values():
        yield from (ref for ref in chain.models if ref.provider in wiring.PROVIDERS)


def _keys(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    return wiring.PROVIDERS[ref.provider].keys(fleet.deployment(ref))
