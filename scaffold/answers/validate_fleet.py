"""What is wrong with sub-agents and chains."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from scaffold.answers.defaults import AGENT_CHAIN
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.feature import Feature
from scaffold.catalog.manifest import TIERS
from scaffold.errors import Problem, printable, suggest

DEPLOYMENT = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""What `[deployments.NAME]` in fleet.toml can be called without quotes."""


def of_agents(
    catalogue: Catalogue, filled: Mapping[str, Any], recorded: Mapping[str, Any]
) -> list[Problem]:
    """Names, descriptions and chains of the sub-agents.

    A recorded name stays good: what is taken grows with the features that come to a template.
    """
    before: list[dict[str, str]] = recorded.get("agents") or []
    old = {agent["name"] for agent in before}
    taken, taken_now = _taken(catalogue.features), _taken(catalogue.enabled(filled))
    problems: list[Problem] = []
    seen: set[str] = set()
    for agent in filled["agents"]:
        name, key = agent["name"], f"agents.{printable(agent['name'])}"
        if problem := names.agent_problem(name):
            problems.append(Problem(key, problem, "take a name like billing"))
        if owner := (taken_now if name in old else taken).get(name):
            problem = f"is a name that {owner} gives to a stage, a pipeline or a file"
            problems.append(Problem(key, problem, f"take another, such as {name[:22]}_desk"))
        if name in seen:
            problems.append(Problem(key, "is there twice", "give each its own name"))
        seen.add(name)
        if problem := names.text_problem(agent["description"]):
            problems.append(Problem(f"{key}.description", problem, "write one line of text"))
        if problem := names.agent_problem(agent["chain"]):
            problems.append(Problem(f"{key}.chain", problem, "name a chain such as cheap"))
    return problems


def _taken(features: Iterable[Feature]) -> dict[str, str]:
    """Names that a sub-agent's files or its entry in fleet.toml would share, and whose they are."""
    taken: dict[str, str] = {}
    for feature in features:
        own = {stage.name for stage in feature.stages} | {feature.wires.pipeline}
        for folder in ("agents", "prompts"):
            files = (feature.folder / "src" / "{{package}}" / folder).glob("*")
            own |= {path.name.partition(".")[0] for path in files}
        taken |= dict.fromkeys((name for name in own if name), feature.title)
    return taken


def of_agent_chains(
    catalogue: Catalogue, filled: Mapping[str, Any], given: Mapping[str, Any]
) -> list[Problem]:
    """A sub-agent's chain that nothing else names is a new one, unless it looks like a slip."""
    others = catalogue.chains_used({**filled, "agents": [], "chains": given})
    known = [*dict.fromkeys([*others, *TIERS, AGENT_CHAIN])]
    found: list[Problem] = []
    for agent in filled["agents"]:
        name: str = agent["chain"]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if name not in known and close:
            way_out = f"did you mean {close[0]}? Else list its models under chains"
            found.append(
                Problem(
                    f"agents.{printable(agent['name'])}.chain",
                    f"there is no chain '{printable(name)}'",
                    way_out,
                )
            )
    return found


def of_chains(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    """Empty chains, and models that cannot be asked."""
    problems: list[Problem] = []
    agents: list[dict[str, str]] = filled.get("agents") or []
    named_by_agents = {agent["chain"] for agent in agents}
    for name, refs in filled["chains"].items():
        key = f"chains.{printable(str(name))}"
        if name not in named_by_agents and (problem := names.agent_problem(str(name))):
            problems.append(Problem(key, problem, "name it like cheap"))
        if not refs:
            problems.append(Problem(key, "is empty", "name at least one provider:model"))
        if len(set(refs)) != len(refs):
            problems.append(Problem(key, "names a model twice", "name each once"))
        for ref in refs:
            problems += _reference(catalogue, filled["providers"], key, ref)
    return problems


def _reference(catalogue: Catalogue, providers: list[str], key: str, ref: str) -> list[Problem]:
    provider, colon, model = ref.partition(":")
    bare, at, deployment = model.rpartition("@") if "@" in model else (model, "", "")
    if names.text_problem(ref) or re.search(r"\s", ref) or not (colon and provider and bare):
        return [
            Problem(
                key, f"'{printable(ref)}' is not a provider:model", "write e.g. openai:gpt-6-luna"
            )
        ]
    if at and not re.fullmatch(DEPLOYMENT, deployment):
        told = f"'{printable(ref)}' names no deployment after @"
        return [Problem(key, told, "write e.g. openai:gpt-6-luna@eu")]
    if provider in providers:
        return []
    known = [feature.name for feature in catalogue.of("provider")]
    if provider not in known:
        return [
            Problem(key, f"there is no provider '{printable(provider)}'", suggest(provider, known))
        ]
    return [
        Problem(key, f"{printable(ref)} needs {provider}", "add it to providers or drop the model")
    ]
