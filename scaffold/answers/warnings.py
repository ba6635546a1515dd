"""What a workspace's answers may say, but is worth a second look."""

import difflib
from collections.abc import Iterator

from scaffold.answers.defaults import AGENT_CHAIN
from scaffold.answers.spec import WorkspaceSpec
from scaffold.catalog import economics
from scaffold.catalog import prices as models
from scaffold.catalog.catalog import Catalogue, tier_of
from scaffold.catalog.manifest import TIERS


def warnings(catalogue: Catalogue, spec: WorkspaceSpec) -> list[str]:
    """A line for each doubt about chains and models, and what a pattern's judge costs."""
    told = [*_unheard_of(catalogue, spec)]
    for name, refs in spec.chains.items():
        if len({ref.partition(":")[0] for ref in refs}) == 1:
            told.append(f"Chain {name} has one provider: when it is down, nothing answers.")
    for ref in dict.fromkeys(ref for refs in spec.chains.values() for ref in refs):
        known = models.facts(catalogue, ref)
        if known.matched is None and known.listed:
            told.append(f"{ref} is unknown and unpriced: give its price in prices.toml.")
        elif known.matched not in (None, known.model):
            told.append(f"{ref} is priced as {known.matched}: check that this is right.")
    answers = spec.answers()
    patterns = [one for one in catalogue.enabled(answers) if one.judged_by]
    judged = [economics.judges_in_words(catalogue, one, answers) for one in patterns]
    return [*told, *filter(None, judged)]


def _unheard_of(catalogue: Catalogue, spec: WorkspaceSpec) -> Iterator[str]:
    """The chains that nothing asks, and those a sub-agent names that were given no models."""
    by_stages = catalogue.chains_used({**spec.answers(), "agents": [], "chains": {}})
    by_agents = {agent.chain: agent.name for agent in spec.agents}
    for name, refs in spec.chains.items():
        if name in by_stages:
            continue
        if name not in by_agents:
            close = difflib.get_close_matches(name, [*by_stages, *by_agents], n=1)
            meant = f"; did you mean {close[0]}?" if close else "."
            yield f"Chain {name} is asked by no stage and no sub-agent{meant}"
        elif name not in (*TIERS, AGENT_CHAIN) and refs == catalogue.default_models(
            tier_of(name), spec.providers
        ):
            yield f"Chain {name} of sub-agent {by_agents[name]} is new: it asks {', '.join(refs)}."
