"""Checks of sub-agents and chains."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from scaffold.answers.spec import Agent, PartialSpec, WorkspaceSpec
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.catalog.feature import Feature
from scaffold.catalog.manifest import TIERS
from scaffold.errors import Problem, printable, suggest

DEPLOYMENT = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""What `[deployments.NAME]` in fleet.toml can be called without quotes."""


def check_agents(catalog: Catalog, spec: WorkspaceSpec, recorded: PartialSpec) -> list[Problem]:
    """Return the problems of the sub-agents' names, descriptions and chains.

    A recorded name stays good, although a feature of that name may come to the template.
    """
    old = {agent.name for agent in recorded.agents or ()}
    owners = list_owners(catalog.features)
    owners_on = list_owners(catalog.list_enabled(spec.selection))
    problems: list[Problem] = []
    seen: set[str] = set()
    for agent in spec.agents:
        name, key = agent.name, f"agents.{printable(agent.name)}"
        if problem := names.agent_problem(name):
            problems.append(Problem(key, problem, "take a name like billing"))
        if owner := (owners_on if name in old else owners).get(name):
            # Its module, its prompt and its table in fleet.toml would be those of the feature.
            problem = f"is a name that {owner} gives to a stage, a pipeline or a file"
            problems.append(Problem(key, problem, f"take another, such as {name[:22]}_desk"))
        if name in seen:
            problems.append(Problem(key, "is listed twice", "give each its own name"))
        seen.add(name)
        problems += _check_details(agent, key)
    return problems


def _check_details(agent: Agent, key: str) -> Iterator[Problem]:
    if problem := names.text_problem(agent.description):
        yield Problem(f"{key}.description", problem, "write one line of text")
    if problem := names.agent_problem(agent.chain):
        yield Problem(f"{key}.chain", problem, "name a chain such as cheap")


def list_owners(features: Iterable[Feature]) -> dict[str, str]:
    """Return names that a sub-agent's files or its table in fleet.toml would share → the owner."""
    owners: dict[str, str] = {}
    for feature in features:
        own = {stage.name for stage in feature.stages} | {feature.wires.pipeline}
        for folder in ("agents", "prompts"):
            files = (feature.folder / "src" / "{{package}}" / folder).glob("*")
            own |= {path.name.partition(".")[0] for path in files}
        owners |= dict.fromkeys((name for name in own if name), feature.title)
    return owners


def check_agent_chains(
    catalog: Catalog, spec: WorkspaceSpec, given: Mapping[str, Sequence[str]]
) -> list[Problem]:
    """Return sub-agents' chains that look like a misspelt one.

    A chain that nothing else names is a new one: `given` are the chains that the team listed.
    """
    others = catalog.chains_used(replace(spec.selection, agent_chains=(), chains=given))
    known = [*dict.fromkeys([*others, *TIERS, AGENT_CHAIN])]
    problems: list[Problem] = []
    for agent in spec.agents:
        close = difflib.get_close_matches(agent.chain, known, n=1, cutoff=0.8)
        if agent.chain not in known and close:
            key = f"agents.{printable(agent.name)}.chain"
            hint = f"did you mean {close[0]}? Else list its models under chains"
            problems.append(Problem(key, f"unknown chain '{printable(agent.chain)}'", hint))
    return problems


def check_chains(catalog: Catalog, spec: WorkspaceSpec) -> list[Problem]:
    """Return empty chains, and models that cannot be asked."""
    if not spec.providers:
        # That is a problem of its own, and without providers every chain would be another.
        return []
    agent_chains = {agent.chain for agent in spec.agents}
    problems: list[Problem] = []
    for name, refs in spec.chains.items():
        key = f"chains.{printable(name)}"
        if name not in agent_chains and (problem := names.agent_problem(name)):
            problems.append(Problem(key, problem, "name it like cheap"))
        if not refs:
            problems.append(Problem(key, "is empty", "name at least one provider:model"))
        if len(set(refs)) != len(refs):
            problems.append(Problem(key, "names a model twice", "name each once"))
        for ref in refs:
            problems += _check_reference(catalog, spec.providers, key, ref)
    return problems


def _check_reference(
    catalog: Catalog, providers: Sequence[str], key: str, ref: str
) -> Iterator[Problem]:
    provider, colon, model = ref.partition(":")
    bare, at, deployment = model.rpartition("@") if "@" in model else (model, "", "")
    known = [feature.name for feature in catalog.of("provider")]
    ref_ = printable(ref)
    if names.text_problem(ref) or re.search(r"\s", ref) or not (colon and provider and bare):
        yield Problem(key, f"'{ref_}' is not a provider:model", "write e.g. openai:gpt-6-luna")
    elif at and not re.fullmatch(DEPLOYMENT, deployment):
        hint = "write e.g. openai:gpt-6-luna@eu"
        yield Problem(key, f"'{ref_}' names no deployment after @", hint)
    elif provider in providers:
        return
    elif provider not in known:
        what = f"unknown provider '{printable(provider)}'"
        yield Problem(key, what, suggest(provider, known))
    else:
        yield Problem(key, f"{ref_} needs {provider}", "add it to providers or drop the model")
