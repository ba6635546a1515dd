"""Checks of the answers: names, chosen features, their questions, sub-agents and chains."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from scaffold.answers.spec import Agent, PartialSpec, WorkspaceSpec
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.catalog.feature import MANIFEST, Feature
from scaffold.catalog.kinds import KINDS, ChainModels, Kind, Selection
from scaffold.catalog.manifest import TIERS, Question
from scaffold.errors import Problem, printable, suggest

MOST_NUMBER = 1e15
"""The largest number without bounds of its own: finite, and every whole one is exact as a float."""

DEPLOYMENT = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""What `[deployments.NAME]` in fleet.toml can be called without quotes."""

_HINT_PACKAGE = "take another, such as my_agents"
_HINT_REQUIRES = "take it out of `requires`, or add that feature to the template"


def check_names(catalog: Catalog, spec: WorkspaceSpec, recorded: PartialSpec) -> list[Problem]:
    """Return the problems of project name, package and description.

    A recorded name stays good, although a template may come to install something of that name.
    """
    new_name = spec.project_name != recorded.project_name
    new_package = spec.package != recorded.package
    checks = {
        "project_name": (
            spec.project_name,
            names.project_problem if new_name else names.title_problem,
            "take another name",
        ),
        "package": (
            spec.package,
            names.package_problem if new_package else names.identifier_problem,
            _HINT_PACKAGE,
        ),
        "description": (spec.description, names.text_problem, "write one line of text"),
    }
    problems = [
        Problem(key, f"'{printable(value)}' {problem}", hint)
        for key, (value, check, hint) in checks.items()
        if (problem := check(value))
    ]
    # The list of taken names is as old as this release; the template may be newer.
    if new_package and not problems and spec.package in _list_requirements(catalog):
        what = f"'{spec.package}' would hide a dependency of that name"
        problems.append(Problem("package", what, _HINT_PACKAGE))
    return problems


def _list_requirements(catalog: Catalog) -> set[str]:
    """Return what the manifests install, as package names: `pydantic-ai-slim[x]>=2` and so on."""
    requirements = [
        requirement
        for feature in catalog.features
        for requirement in (*feature.dependencies, *feature.dev_dependencies)
    ]
    bare = [re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements]
    return {name.lower().replace("-", "_").replace(".", "_") for name in bare}


def check_choices(catalog: Catalog, selection: Selection) -> list[Problem]:
    """Return unknown, doubled, missing and contradictory features."""
    problems = [
        problem for kind in KINDS.values() for problem in _check_kind(catalog, selection, kind)
    ]
    if not selection.names("provider"):
        problems.append(Problem("providers", "is empty", "choose at least one"))
    for feature in catalog.list_enabled(selection):
        problems += _check_feature(catalog, selection, feature)
    return problems


def _check_kind(catalog: Catalog, selection: Selection, kind: Kind) -> Iterator[Problem]:
    known = [*kind.builtins, *(feature.name for feature in catalog.of(kind.name))]
    chosen = selection.names(kind.name)
    for name in chosen:
        if name not in known:
            what = f"unknown {kind.name} '{printable(name)}'"
            yield Problem(kind.answer_key, what, suggest(name, known))
    if len(set(chosen)) != len(chosen):
        yield Problem(kind.answer_key, "names one twice", "name each once")


def _check_feature(catalog: Catalog, selection: Selection, feature: Feature) -> Iterator[Problem]:
    """Yield what a feature that is on requires and does not have, and what it excludes."""
    on = {one.ref for one in catalog.list_enabled(selection)}
    key = KINDS[feature.kind].answer_key if feature.kind in KINDS else "patterns"
    for other in feature.requires:
        if other in KINDS and not selection.names(other):
            choices = ", ".join(one.name for one in catalog.of(other))
            hint = f"choose from {choices}" if choices else "the template has none: add one to it"
            yield Problem(KINDS[other].answer_key, f"{feature.name} needs one", hint)
        elif other not in KINDS and other not in on:
            exists = other in {known.ref for known in catalog.features}
            hint = "choose it as well" if exists else f"{feature.id}/{MANIFEST}: {_HINT_REQUIRES}"
            yield Problem(key, f"{feature.name} needs {other}", hint)
    for other in set(feature.conflicts) & on:
        yield Problem(key, f"{feature.name} and {other} exclude each other", "drop one")


def check_questions(
    catalog: Catalog, selection: Selection, settings: Mapping[str, object]
) -> list[Problem]:
    """Return answers to the enabled features' questions that have a wrong type or value."""
    return [
        Problem(key, problem, f"the default is {question.default}")
        for key, question in catalog.questions(selection).items()
        if (problem := check_setting(question, settings.get(key, question.default)))
    ]


def check_setting(question: Question, value: object) -> str | None:
    """Return what is wrong with the answer to a feature's question, or None."""
    if not question.has_type(value):
        return f"should be of type {question.type}"
    if isinstance(value, int | float) and not -MOST_NUMBER <= value <= MOST_NUMBER:
        return f"is not a number from {-MOST_NUMBER:g} to {MOST_NUMBER:g}"
    if problem := question.find_problem(value):
        return problem
    return names.text_problem(value) if isinstance(value, str) else None


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


def check_agent_chains(catalog: Catalog, spec: WorkspaceSpec, given: ChainModels) -> list[Problem]:
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


def check_chains(catalog: Catalog, spec: WorkspaceSpec, given: ChainModels) -> list[Problem]:
    """Return empty chains, and models that cannot be asked; `given` are chains that a team listed."""
    if not spec.providers:
        # That is a problem of its own, and without providers every chain would be another.
        return []
    agent_chains = {agent.chain for agent in spec.agents}
    known = {feature.name for feature in catalog.of("provider")}
    # What a provider that does not exist leaves empty is filled once its name is right.
    all_known = known.issuperset(spec.providers)
    problems: list[Problem] = []
    for name, refs in spec.chains.items():
        key = f"chains.{printable(name)}"
        if name not in agent_chains and (problem := names.agent_problem(name)):
            problems.append(Problem(key, problem, "name it like cheap"))
        if not refs and (all_known or name in given):
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
