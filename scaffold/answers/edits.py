"""Answers after a change: a feature or a sub-agent added or removed.

Every function takes a set of answers and gives a new one; `answers.complete` then checks it.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from scaffold.catalog.catalog import Catalogue, chosen, tier_of
from scaffold.catalog.feature import KINDS, Feature
from scaffold.catalog.manifest import Tier
from scaffold.errors import AnswersError, Problem

Answers = dict[str, Any]


def added(
    catalogue: Catalogue, answers: Mapping[str, Any], kind: str, name: str
) -> tuple[Answers, list[str]]:
    """With one feature more, and notes; of a kind that allows one only, it replaces the other.

    Where it needs some feature of another kind and there is none, that is the one it proposes.
    """
    feature = _feature(catalogue, kind, name)
    key, on = KINDS[kind].answer_key, chosen(answers, kind)
    if name in on:
        raise AnswersError([Problem(key, f"{name} is there already", "there is nothing to add")])
    notes = [] if KINDS[kind].many else [f"It replaces {other}." for other in _beside(kind, on)]
    after = {**answers, key: [*on, name] if KINDS[kind].many else name}
    for other, proposed in _needed(feature):
        if not chosen(after, other):
            after[KINDS[other].answer_key] = proposed
            notes.append(f"It needs a {other}, so {', '.join(proposed)} comes with it.")
    return after, notes


def removed(
    catalogue: Catalogue, answers: Mapping[str, Any], kind: str, name: str
) -> tuple[Answers, list[str]]:
    """With one feature less, and without the default chains and proposals that it alone used."""
    key, on = KINDS[kind].answer_key, chosen(answers, kind)
    if name not in _beside(kind, on):
        raise _unknown(key, kind, name, _beside(kind, on))
    feature = _feature(catalogue, kind, name)
    value = [other for other in on if other != name] if KINDS[kind].many else KINDS[kind].builtin
    after = {**answers, key: value}
    still = catalogue.enabled(after)
    if needing := [other for other in still if f"{kind}:{name}" in other.requires]:
        raise AnswersError(
            [Problem(key, f"{other.name} needs {name}", _first_remove(other)) for other in needing]
        )
    notes: list[str] = []
    for other, proposed in _needed(feature):
        needed = any(other in one.requires for one in still)
        if chosen(after, other) == proposed and not needed:
            after[KINDS[other].answer_key] = []
            notes.append(f"Nothing needs {other} {', '.join(proposed)} any more, so it goes too.")
    return _without_idle_chains(catalogue, answers, after), notes


def _beside(kind: str, on: Sequence[str]) -> list[str]:
    return [name for name in on if name != KINDS[kind].builtin]


def _needed(feature: Feature) -> list[tuple[str, list[str]]]:
    return [(kind, names) for kind, names in feature.proposes.items() if kind in feature.requires]


def _first_remove(feature: Feature) -> str:
    return f"first `scaffold remove {feature.kind} {feature.name}`"


def with_agent(answers: Mapping[str, Any], agent: Mapping[str, str]) -> Answers:
    """With one named sub-agent more, the last of the list."""
    agents = agents_of(answers)
    if agent["name"] in [one["name"] for one in agents]:
        raise AnswersError(
            [Problem("agents", f"{agent['name']} is there already", "take another name")]
        )
    return {**answers, "agents": [*agents, dict(agent)]}


def without_agent(catalogue: Catalogue, answers: Mapping[str, Any], name: str) -> Answers:
    """With one named sub-agent less, and without the default chains that it alone used."""
    agents = agents_of(answers)
    names = [agent["name"] for agent in agents]
    if name not in names:
        raise _unknown("agents", "agent", name, names)
    after = {**answers, "agents": [agent for agent in agents if agent["name"] != name]}
    return _without_idle_chains(catalogue, answers, after)


def agents_of(answers: Mapping[str, Any]) -> list[dict[str, str]]:
    """The recorded sub-agents. Raises AnswersError where that is not a list of tables."""
    agents: object = answers.get("agents") or []
    rows = cast(list[object], agents) if isinstance(agents, list) else [None]
    if not all(isinstance(row, dict) and "name" in row for row in rows):
        raise AnswersError(
            [
                Problem(
                    "agents", "is not a list of {name, description, chain}", "mend the answers file"
                )
            ]
        )
    return cast(list[dict[str, str]], rows)


def providers_asked(answers: Mapping[str, Any]) -> set[str]:
    """The providers that some chain names a model of."""
    chains: Mapping[str, Sequence[str]] = answers.get("chains") or {}
    return {ref.partition(":")[0] for refs in chains.values() for ref in refs}


def chain_with(
    catalogue: Catalogue, answers: Mapping[str, Any], chain: str, provider: str
) -> Answers:
    """With the provider's default model for that chain asked last."""
    chains: dict[str, list[str]] = dict(answers.get("chains") or {})
    if chain not in chains:
        raise _unknown("chains", "chain", chain, list(chains))
    tier: Tier = catalogue.chains_used(answers).get(chain, tier_of(chain))
    model = catalogue.default_models(tier, [provider])[0]
    return {**answers, "chains": {**chains, chain: [*chains[chain], model]}}


def _without_idle_chains(
    catalogue: Catalogue, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Answers:
    chains: dict[str, list[str]] = dict(after.get("chains") or {})
    still = catalogue.chains_used({**after, "chains": {}})
    for name, tier in catalogue.chains_used({**before, "chains": {}}).items():
        default = catalogue.default_models(tier, chosen(before, "provider"))
        if name not in still and chains.get(name) == default:
            del chains[name]
    return {**after, "chains": chains}


def _feature(catalogue: Catalogue, kind: str, name: str) -> Feature:
    try:
        return catalogue.get(kind, name)
    except KeyError:
        key = KINDS[kind].answer_key
        raise _unknown(key, kind, name, [one.name for one in catalogue.of(kind)]) from None


def _unknown(key: str, kind: str, name: str, there: Sequence[str]) -> AnswersError:
    close = difflib.get_close_matches(name, there, n=1)
    way_out = f"did you mean {close[0]}?" if close else f"there are: {', '.join(there) or 'none'}"
    return AnswersError([Problem(key, f"there is no {kind} '{name}'", way_out)])
