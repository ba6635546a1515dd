"""WorkspaceSpec: every answer of a workspace, typed, completed and checked."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaffold import models, names, problems
from scaffold.catalogue import Catalogue
from scaffold.defaults import filled_in
from scaffold.errors import AnswersError, Problem
from scaffold.feature import KINDS


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
    quality_threshold: float = Field(ge=0, le=1)
    monthly_budget_usd: float = Field(ge=0, allow_inf_nan=False)
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
    catalogue: Catalogue, given: Mapping[str, object], *, folder_name: str
) -> WorkspaceSpec:
    """Default what is not given and check everything. Raises AnswersError with every problem."""
    answers = {key: value for key, value in given.items() if not key.startswith("_")}
    known = known_keys(catalogue)
    found = problems.unknown_keys(answers, known)
    filled = filled_in(catalogue, {k: v for k, v in answers.items() if k in known}, folder_name)
    misshapen = [problem for problem in _shape(filled) if problem.key.split(".")[0] in answers]
    bad = {problem.key.split(".")[0] for problem in misshapen}
    found += misshapen + problems.of_answers(catalogue, answers, filled, bad)
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
    told: list[str] = []
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
        return [
            Problem(
                ".".join(map(str, detail["loc"])),
                detail["msg"].lower().replace("input should be", "should be"),
                "see the README for its form",
            )
            for detail in error.errors()
        ]
    return []
