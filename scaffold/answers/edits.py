"""What `add` and `remove` change of the answers.

Every function takes answers and returns new ones; `complete` then checks them.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace

from scaffold.answers.spec import Agent, Chains, PartialSpec
from scaffold.catalog.catalog import Catalog, list_providers, tier_of
from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import KINDS
from scaffold.errors import AnswersError, Problem

Edited = tuple[PartialSpec, list[str]]
"""New answers, and notes for the user."""


def add_feature(catalog: Catalog, answers: PartialSpec, kind: str, name: str) -> Edited:
    """Add one feature; of a kind that allows one only, it replaces the other.

    Where it needs some feature of another kind and there is none, that is the one it proposes.
    """
    feature = _get(catalog, kind, name)
    chosen = answers.selection.names(kind)
    if name in chosen:
        raise AnswersError(
            [
                Problem(
                    KINDS[kind].answer_key,
                    f"{kind} '{name}' is already enabled",
                    "there is nothing to add",
                )
            ]
        )
    many = KINDS[kind].many
    notes = [] if many else [f"It replaces {other}." for other in _drop_builtin(kind, chosen)]
    after = answers.choose(kind, [*chosen, name] if many else [name])
    for other, proposed in _list_needed(feature):
        if not after.selection.names(other):
            after = after.choose(other, proposed)
            notes.append(f"It needs a {other}, so {', '.join(proposed)} comes with it.")
    return after, notes


def remove_feature(catalog: Catalog, answers: PartialSpec, kind: str, name: str) -> Edited:
    """Remove one feature, and the default chains and proposals that it alone used.

    Raises:
        AnswersError: It is not chosen, or another feature needs it.
    """
    key, chosen = KINDS[kind].answer_key, answers.selection.names(kind)
    if name not in _drop_builtin(kind, chosen):
        raise _refuse_absent(catalog, kind, name, _drop_builtin(kind, chosen))
    feature = _get(catalog, kind, name)
    after = answers.choose(kind, [other for other in chosen if other != name])
    still_on = catalog.list_enabled(after.selection)
    if needing := [other for other in still_on if feature.ref in other.requires]:
        raise AnswersError(
            [Problem(key, f"{one.name} needs {name}", _describe_removal(one)) for one in needing]
        )
    notes: list[str] = []
    for other, proposed in _list_needed(feature):
        is_needed = any(other in one.requires for one in still_on)
        if after.selection.names(other) == proposed and not is_needed:
            after = after.choose(other, [])
            notes.append(f"Nothing needs {other} {', '.join(proposed)} any more, so it goes too.")
    return _drop_idle_chains(catalog, answers, after), notes


def _drop_builtin(kind: str, chosen: Sequence[str]) -> list[str]:
    return [name for name in chosen if name not in KINDS[kind].builtins]


def _list_needed(feature: Feature) -> list[tuple[str, list[str]]]:
    return [(kind, names) for kind, names in feature.proposes.items() if kind in feature.requires]


def _describe_removal(feature: Feature) -> str:
    return f"first `scaffold remove {feature.kind} {feature.name}`"


def add_agent(answers: PartialSpec, agent: Agent) -> PartialSpec:
    """Add a named sub-agent, the last of the list."""
    agents = answers.agents or []
    if agent.name in [one.name for one in agents]:
        raise AnswersError(
            [Problem("agents", f"sub-agent '{agent.name}' already exists", "take another name")]
        )
    return answers.replace(agents=[*agents, agent])


def remove_agent(catalog: Catalog, answers: PartialSpec, name: str) -> PartialSpec:
    """Remove a named sub-agent, and the default chains that it alone used."""
    agents = answers.agents or []
    names = [agent.name for agent in agents]
    if name not in names:
        raise _refuse_unknown("agents", "agent", name, names)
    after = answers.replace(agents=[agent for agent in agents if agent.name != name])
    return _drop_idle_chains(catalog, answers, after)


def list_asked_providers(answers: PartialSpec) -> set[str]:
    """Return the providers that some chain names a model of."""
    chains = answers.chains or {}
    return {provider for refs in chains.values() for provider in list_providers(refs)}


def extend_chain(catalog: Catalog, answers: PartialSpec, chain: str, provider: str) -> PartialSpec:
    """Let a chain ask the provider's default model of its tier last."""
    chains = answers.chains or {}
    if chain not in chains:
        raise _refuse_unknown("chains", "chain", chain, list(chains))
    tier = catalog.chains_used(answers.selection).get(chain, tier_of(chain))
    model = catalog.default_models(tier, [provider])[0]
    return answers.replace(chains={**chains, chain: [*chains[chain], model]})


def _drop_idle_chains(catalog: Catalog, before: PartialSpec, after: PartialSpec) -> PartialSpec:
    """Drop the chains that are not used any more and that the team left as they were."""
    chains: Chains = dict(after.chains or {})
    still_used = catalog.chains_used(replace(after.selection, chains={}))
    for name, tier in catalog.chains_used(replace(before.selection, chains={})).items():
        default = catalog.default_models(tier, before.selection.names("provider"))
        # A chain that the team changed is its own, used or not.
        if name not in still_used and chains.get(name) == default:
            del chains[name]
    return after.replace(chains=chains)


def _get(catalog: Catalog, kind: str, name: str) -> Feature:
    try:
        return catalog.get(kind, name)
    except KeyError:
        key = KINDS[kind].answer_key
        raise _refuse_unknown(key, kind, name, [one.name for one in catalog.of(kind)]) from None


def _refuse_absent(catalog: Catalog, kind: str, name: str, chosen: Sequence[str]) -> AnswersError:
    key = KINDS[kind].answer_key
    if name in chosen or name not in _drop_builtin(kind, [one.name for one in catalog.of(kind)]):
        return _refuse_unknown(key, kind, name, chosen)
    hint = f"enabled are: {', '.join(chosen) or 'none'}"
    return AnswersError([Problem(key, f"{kind} '{name}' is not enabled", hint)])


def _refuse_unknown(key: str, kind: str, name: str, known: Sequence[str]) -> AnswersError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
    return AnswersError([Problem(key, f"unknown {kind} '{name}'", hint)])
