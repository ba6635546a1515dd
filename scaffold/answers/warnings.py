"""Warnings about valid answers that are probably mistakes."""

import difflib
from collections.abc import Iterator
from dataclasses import replace

from scaffold.answers.spec import WorkspaceSpec
from scaffold.catalog.break_even import describe_judges
from scaffold.catalog.catalog import Catalog, list_providers, tier_of
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.catalog.manifest import TIERS
from scaffold.catalog.prices import find_model


def list_warnings(catalog: Catalog, spec: WorkspaceSpec) -> list[str]:
    """Return a line for each doubt about chains and models, and what a pattern's judge costs."""
    patterns = [one for one in catalog.list_enabled(spec.selection) if one.judged_by]
    judged = [describe_judges(catalog, one, spec.selection) for one in patterns]
    return [
        *_doubt_chains(catalog, spec),
        *_doubt_models(catalog, spec),
        *filter(None, judged),
    ]


def _doubt_chains(catalog: Catalog, spec: WorkspaceSpec) -> Iterator[str]:
    yield from _list_unused(catalog, spec)
    for name, refs in spec.chains.items():
        if len(list_providers(refs)) == 1:
            yield f"Chain {name} has one provider: when it is down, nothing answers."


def _doubt_models(catalog: Catalog, spec: WorkspaceSpec) -> Iterator[str]:
    for ref in dict.fromkeys(ref for refs in spec.chains.values() for ref in refs):
        model = find_model(catalog, ref)
        # A provider without list prices, such as Ollama, is unpriced by nature.
        if model.matched is None and model.listed:
            yield f"{ref} is unknown and unpriced: give its price in prices.toml."
        elif model.matched not in (None, model.model):
            yield f"{ref} is priced as {model.matched}: check that this is right."


def _list_unused(catalog: Catalog, spec: WorkspaceSpec) -> Iterator[str]:
    """Yield the chains that nothing asks, and those that only a sub-agent names."""
    asked_by_stages = catalog.chains_used(replace(spec.selection, agent_chains=(), chains={}))
    asked_by_agents = {agent.chain: agent.name for agent in spec.agents}
    for name, refs in spec.chains.items():
        if name in asked_by_stages:
            continue
        if name not in asked_by_agents:
            close = difflib.get_close_matches(name, [*asked_by_stages, *asked_by_agents], n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            yield f"Chain {name} is asked by no stage and no sub-agent{hint}"
        elif name not in (*TIERS, AGENT_CHAIN) and refs == catalog.default_models(
            tier_of(name), spec.providers
        ):
            agent = asked_by_agents[name]
            yield f"Chain {name} of sub-agent {agent} is new: it asks {', '.join(refs)}."
