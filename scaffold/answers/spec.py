"""WorkspaceSpec: every answer of a workspace, typed, completed and checked."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaffold.answers import validate as problems
from scaffold.answers.defaults import filled_in
from scaffold.answers.validate import of_shape
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.copier_questions import MOST_USD
from scaffold.catalog.feature import KINDS
from scaffold.errors import AnswersError, Problem


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
    if bad:
        # The rest is checked beside defaults: no check has to look out for odd shapes.
        answers = {key: value for key, value in answers.items() if key not in bad}
        sound = {key: value for key, value in answers.items() if key in known}
        filled = filled_in(catalogue, sound, folder_name)
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
