"""Settings that cannot be right: unreadable tables, wrong addresses and keys, names nobody uses."""

import os
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..configuration import keys_of, load_prices
from ..runtime.errors import FleetError, SettingsError
from ..runtime.fleet import Fleet
from ..runtime.settings import Settings


def diagnose(root: Path, fleet: Fleet) -> Iterator[FleetError | str]:
    """Yield an error for what no request gets past, and a note on what has no effect."""
    yield from find_wrong_tables(fleet)
    yield from _find_wrong_addresses(fleet)
    yield from _find_wrong_keys(fleet)
    yield from _find_unread_tables(fleet)
    yield from _find_unused_names(root, fleet)


def find_wrong_tables(fleet: Fleet) -> Iterator[FleetError]:
    """Check the tables of the router, pipelines, searches, the saving and sub-agents' keys."""
    from .. import wiring

    parts = [*wiring.PIPELINES.values(), *([wiring.SAVING] if wiring.SAVING else [])]
    functions = [getattr(part, "func", part) for part in parts]
    wired = [type(wiring.ROUTER), *functions, *wiring.AGENT_KEYS.values()]
    searches: Mapping[str, Any] = getattr(wiring, "SEARCHES", {})
    names = [one.__module__ for one in wired] + [one.__name__ for one in searches.values()]
    for name in dict.fromkeys(names):
        for found in vars(sys.modules[name]).values():
            is_own = isinstance(found, type) and found.__module__ == name
            if is_own and issubclass(found, Settings) and found.__name__.endswith("Settings"):
                try:
                    fleet.section(name.rpartition(".")[2], found)
                except FleetError as error:
                    yield error


def _find_wrong_addresses(fleet: Fleet) -> Iterator[SettingsError]:
    addresses = {
        f"deployments.{at}.base_url": one.base_url for at, one in fleet.deployments.items()
    }
    providers = {ref.provider.upper() for chain in fleet.chains.values() for ref in chain.models}
    variables = {f"{provider}_BASE_URL" for provider in providers} | _keys(fleet)
    for name in sorted(variables):
        if name.endswith(("_URL", "_ENDPOINT")):
            addresses[name] = os.environ.get(name)
    for name, url in addresses.items():
        if url and not (url.startswith(("http://", "https://")) and _host(url)):
            yield SettingsError(f"{name} is not an address", "write http:// or https:// and a host")


def _find_wrong_keys(fleet: Fleet) -> Iterator[SettingsError]:
    for key in sorted(_keys(fleet)):
        value = os.environ.get(key)
        if value and (not value.strip() or not value.isascii() or not value.isprintable()):
            problem = f"{key} is blank, or has characters that no key has"
            yield SettingsError(problem, "copy it anew")


def _keys(fleet: Fleet) -> set[str]:
    """Return the environment variables of the models whose provider is known."""
    from .. import wiring

    refs = {ref for chain in fleet.chains.values() for ref in chain.models}
    return {k for ref in refs if ref.provider in wiring.PROVIDERS for k in keys_of(ref, fleet)}


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # a bracket that is not closed
        return None


def _find_unread_tables(fleet: Fleet) -> Iterator[str]:
    for table in fleet.model_extra or {}:
        close = get_close_matches(table, [*Fleet.model_fields, "ledger"], 1, 0.75)
        if close and table not in close:
            yield f"Nothing reads [{table}] of fleet.toml: did you mean [{close[0]}]?"


def _find_unused_names(root: Path, fleet: Fleet) -> Iterator[str]:
    """Yield the models, places and task types that a setting is for, and that nothing asks."""
    refs = {ref for chain in fleet.chains.values() for ref in chain.models}
    places = {ref.place for ref in refs}
    stages = {**fleet.agents, **fleet.stages}
    tasks = {stage.task_type or name for name, stage in stages.items()}
    models = {*map(str, refs)}
    match fleet.model_extra:
        case {"baseline": {"model": str(compared)}}:
            models.add(compared)
        case _:
            pass  # none, or a wrong one, which is among the problems
    for table, named, known in (
        ("[limits]", fleet.limits, places),
        ("[data]", fleet.data.further, places),
        ("task_usd", fleet.budgets.task_usd, tasks),
        ("prices.toml", load_prices(root, fleet).own, models),
    ):
        for name in sorted({*named} - known):
            close = get_close_matches(name, known, 1)
            hint = f": did you mean {close[0]}?" if close else "."
            yield f"{table} names {name}, which nothing in fleet.toml asks{hint}"
