"""What a team gave becomes a complete, checked `WorkspaceSpec`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from scaffold.answers.spec import MAIN_KEYS, Agent, Chains, PartialSpec, WorkspaceSpec
from scaffold.answers.validate import (
    check_agent_chains,
    check_agents,
    check_chains,
    check_choices,
    check_names,
    check_questions,
    check_setting,
)
from scaffold.catalog import core_settings, names
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.kinds import KINDS, Selection
from scaffold.catalog.manifest import SettingValue
from scaffold.errors import AnswersError, Problem

THRESHOLD = float(core_settings.QUALITY_THRESHOLD.default)
BUDGET = float(core_settings.MONTHLY_BUDGET_USD.default)
Value = TypeVar("Value")


def complete(
    catalog: Catalog,
    given: PartialSpec,
    *,
    folder_name: str,
    recorded: PartialSpec | None = None,
    problems: Sequence[Problem] = (),
) -> WorkspaceSpec:
    """Default every missing answer and check all of them.

    Args:
        catalog: The features there are.
        given: What the team gave.
        folder_name: The workspace's folder, which the project's default name comes from.
        recorded: The answers that a workspace has already: its names stay good.
        problems: What is wrong with answers that have the wrong shape.

    Raises:
        AnswersError: Every problem, those in `problems` first.
    """
    spec = fill(catalog, given, folder_name)
    before = recorded or PartialSpec()
    found = [
        *problems,
        *check_names(catalog, spec, before),
        *check_choices(catalog, spec.selection),
        *check_questions(catalog, spec.selection, given.settings),
        *check_agents(catalog, spec, before),
        *check_agent_chains(catalog, spec, given.chains or {}),
        *check_chains(catalog, spec, given.chains or {}),
    ]
    if found:
        raise AnswersError(found)
    return spec


def list_missing(given: PartialSpec) -> list[str]:
    """Return the main answer keys that are not given and so take their default."""
    return [key for key in MAIN_KEYS if key not in given.list_given()]


def fill(catalog: Catalog, given: PartialSpec, folder_name: str) -> WorkspaceSpec:
    """Return the answers with every missing one defaulted; they are not checked yet."""
    # Package, kinds, agents and chains each follow from what comes before them.
    project = _fill_default(given.project_name, names.default_project(folder_name))
    chosen = _choose(catalog, given)
    agents = given.agents
    if agents is None:
        agents = propose_agents(catalog, Selection(features=chosen))
    selection = Selection(features=chosen, agent_chains=[agent.chain for agent in agents])
    return WorkspaceSpec(
        project_name=project,
        package=_fill_default(given.package, names.default_package(project)),
        description=_fill_default(given.description, core_settings.DESCRIPTION),
        patterns=chosen["pattern"],
        providers=chosen["provider"],
        search=chosen["search"],
        engine=chosen["engine"][0],
        framework=chosen["framework"][0],
        surfaces=chosen["surface"],
        extras=chosen["extra"],
        agents=agents,
        chains=_list_chains(catalog, given, selection),
        quality_threshold=_fill_default(given.quality_threshold, THRESHOLD),
        monthly_budget_usd=_fill_default(given.monthly_budget_usd, BUDGET),
        settings=_list_settings(catalog, given, selection),
    )


def _fill_default(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _choose(catalog: Catalog, given: PartialSpec) -> dict[str, list[str]]:
    """Return the chosen names by kind; a default may depend on the kinds before it."""
    answered = given.list_chosen()
    chosen: dict[str, list[str]] = {}
    for kind in KINDS.values():
        chosen_names = answered.get(kind.name)
        if chosen_names is None:
            chosen_names = catalog.default_choice(kind, Selection(features=chosen))
        if kind.many:
            # The command line of a workspace cannot be left out, so nobody has to name it.
            absent = [name for name in kind.builtins if name not in chosen_names]
            chosen_names = [*absent, *chosen_names]
        chosen[kind.name] = chosen_names
    return chosen


def propose_agents(catalog: Catalog, selection: Selection) -> list[Agent]:
    """Return the sub-agents that a workspace has unless the team names its own."""
    proposed = catalog.default_agents(selection)
    return [Agent.model_validate(agent.model_dump()) for agent in proposed]


def _list_chains(catalog: Catalog, given: PartialSpec, selection: Selection) -> Chains:
    """Return every chain that is used, and those that the team listed beside them."""
    known = {feature.name for feature in catalog.of("provider")}
    # A provider that does not exist is reported later; it has no default models.
    usable = [name for name in selection.names("provider") if name in known]
    features = {**selection.features, "provider": usable}
    return {
        **catalog.default_chains(replace(selection, features=features)),
        **(given.chains or {}),
    }


def _list_settings(
    catalog: Catalog, given: PartialSpec, selection: Selection
) -> dict[str, SettingValue]:
    """Return the answers to the questions that are asked; a wrong one is reported later."""
    settings: dict[str, SettingValue] = {}
    for key, question in catalog.questions(selection).items():
        value = given.settings.get(key, question.default)
        if isinstance(value, str | int | float) and not check_setting(question, value):
            settings[key] = value
        else:
            settings[key] = question.default
    return settings
