"""WorkspaceSpec: every answer of a workspace, typed, completed and checked."""

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaffold import models, names, problems
from scaffold.catalogue import Catalogue, tier_of
from scaffold.defaults import AGENT_CHAIN, filled_in
from scaffold.errors import AnswersError, Problem
from scaffold.facts import TIERS
from scaffold.feature import KINDS
from scaffold.problems.shape import of_shape
from scaffold.questionnaire import MOST_USD


class Agent(BaseModel):
    """A named sub-agent: what it handles, and the chain it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    chain: str = "specialist"


class WorkspaceSpec(BaseModel):
    """Every visible answer, typed and complete; feature questions are in `settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project_name: str
    package: str
    description: str
    patterns: list[str]
    providers: list[str]
    search: list[str]
    engine: str
    framework: str
    surfaces: list[str]
    extras: list[str]
    agents: list[Agent]
    chains: dict[str, list[str]]
    quality_threshold: float = Field(ge=0, le=1, strict=True)
    monthly_budget_usd: float = Field(ge=0, le=MOST_USD, strict=True)
    settings: dict[str, str | int | float | bool] = {}

    @property
    def slug(self) -> str:
        """The distribution's and the command's name."""
        return names.slug_of(self.project_name)

    def answers(self) -> dict[str, Any]:
        """The answers as copier takes them: plain data, feature questions beside the rest."""
        data = self.model_dump(exclude={"settings"})
        budget = data["monthly_budget_usd"]
        data["monthly_budget_usd"] = int(budget) if budget == int(budget) else budget
        return data | self.settings


def complete(
    catalogue: Catalogue,
    given: Mapping[str, object],
    *,
    folder_name: str,
    recorded: Mapping[str, Any] = MappingProxyType({}),
) -> WorkspaceSpec:
    """Default what is not given and check everything. Raises AnswersError with every problem.

    `recorded` are the answers a workspace has already: its names stay good.
    """
    answers = {key: value for key, value in given.items() if not key.startswith("_")}
    known = known_keys(catalogue)
    found = problems.unknown_keys(answers, known)
    filled = filled_in(catalogue, {k: v for k, v in answers.items() if k in known}, folder_name)
    misshapen = [problem for problem in _shape(filled) if problem.key.split(".")[0] in answers]
    bad = {problem.key.split(".")[0] for problem in misshapen}
    found += misshapen + problems.of_answers(catalogue, answers, filled, bad, recorded)
    if found:
        raise AnswersError(found)
    return _spec(catalogue, filled)


def _spec(catalogue: Catalogue, filled: Mapping[str, Any]) -> WorkspaceSpec:
    asked = catalogue.questions(filled)
    idle = {key for feature in catalogue.features for key in feature.questions}
    main = {key: value for key, value in filled.items() if key not in idle}
    settings = {key: filled[key] for key in asked}
    return WorkspaceSpec.model_validate(main | {"settings": settings})


def known_keys(catalogue: Catalogue) -> set[str]:
    """Every answer key there is, with those of features that are not chosen."""
    own = {key for feature in catalogue.features for key in feature.questions}
    return {*WorkspaceSpec.model_fields, *own} - {"settings"}


def missing(given: Mapping[str, object]) -> list[str]:
    """The main answer keys that were not given and so took their default."""
    return [key for key in WorkspaceSpec.model_fields if key not in given and key != "settings"]


def warnings(catalogue: Catalogue, spec: WorkspaceSpec) -> list[str]:
    """What is allowed but worth a second look."""
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
    return told


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


def require_shape(given: Mapping[str, Any]) -> None:
    """Raise AnswersError for given answers that have the wrong type, whatever their values."""
    lists = {kind.answer_key for kind in KINDS.values() if kind.many}
    shaped = {k: [v] if k in lists and isinstance(v, str) else v for k, v in given.items()}
    if problems := [one for one in _shape(shaped) if one.key.split(".")[0] in given]:
        raise AnswersError(problems)


def _shape(filled: Mapping[str, Any]) -> list[Problem]:
    fields = {key: filled[key] for key in WorkspaceSpec.model_fields if key in filled}
    try:
        WorkspaceSpec.model_validate(fields)
    except ValidationError as error:
        return of_shape(error)
    return []
