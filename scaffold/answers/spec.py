"""The answers as types: `PartialSpec` is what a team gave, `WorkspaceSpec` is complete."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scaffold.catalog import names
from scaffold.catalog.core_settings import AGENT_CHAIN, MONTHLY_BUDGET_USD, QUALITY_THRESHOLD
from scaffold.catalog.kinds import KINDS, ChainModels, Kind, Selection
from scaffold.catalog.manifest import SettingValue


class Agent(BaseModel):
    """A named sub-agent: what it handles, and the chain it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    chain: str = AGENT_CHAIN


def _wrap_name(value: object) -> object:
    return [value] if isinstance(value, str) else value


# A single name is a list of one: `--set patterns=router`.
FeatureNames = Annotated[list[str], BeforeValidator(_wrap_name)]
Chains = dict[str, list[str]]
Threshold = Annotated[float, Field(ge=QUALITY_THRESHOLD.min, le=QUALITY_THRESHOLD.max, strict=True)]
Budget = Annotated[float, Field(ge=MONTHLY_BUDGET_USD.min, le=MONTHLY_BUDGET_USD.max, strict=True)]


class PartialSpec(BaseModel):
    """The answers that a team gave; a field is None where it gave none.

    `settings` are the answers to the questions of features. Their types are checked once it is
    known which features are on, for an answer to a question that is not asked may be anything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    project_name: str | None = None
    package: str | None = None
    description: str | None = None
    patterns: FeatureNames | None = None
    providers: FeatureNames | None = None
    search: FeatureNames | None = None
    engine: str | None = None
    framework: str | None = None
    surfaces: FeatureNames | None = None
    extras: FeatureNames | None = None
    agents: list[Agent] | None = None
    chains: Chains | None = None
    quality_threshold: Threshold | None = None
    monthly_budget_usd: Budget | None = None
    settings: dict[str, object] = {}

    @property
    def selection(self) -> Selection:
        """What the catalog has to know of these answers."""
        return _select(self.list_chosen(), self.chains, self.agents)

    def list_chosen(self) -> dict[str, list[str]]:
        """Return the names of features that are given, by kind."""
        return {
            kind.name: [value] if isinstance(value, str) else list(value)
            for kind in KINDS.values()
            if (value := self._get_choice(kind)) is not None
        }

    def list_given(self) -> set[str]:
        """Return the answer keys that are given, those of features' questions included."""
        main = {key for key in MAIN_KEYS if getattr(self, key) is not None}
        return main | self.settings.keys()

    def replace(self, **changes: object) -> Self:
        """Return the answers with other values for some fields; None takes an answer back."""
        # model_copy does not validate: callers pass values of the right type.
        return self.model_copy(update=changes)

    def choose(self, kind: str, names: Sequence[str]) -> Self:
        """Return the answers with these names chosen of a kind."""
        value = list(names) if KINDS[kind].many else next(iter(names), KINDS[kind].builtin)
        return self.replace(**{KINDS[kind].answer_key: value})

    def merge(self, later: "PartialSpec") -> Self:
        """Return the answers with those of a later source instead, where it gives some."""
        changes = {key: getattr(later, key) for key in later.list_given() - later.settings.keys()}
        return self.replace(**changes, settings={**self.settings, **later.settings})

    def _get_choice(self, kind: Kind) -> str | list[str] | None:
        return cast("str | list[str] | None", getattr(self, kind.answer_key))


MAIN_KEYS = tuple(key for key in PartialSpec.model_fields if key != "settings")
"""The answer keys that every template has, in the order they are asked."""


class WorkspaceSpec(BaseModel):
    """Every visible answer, typed, complete and checked; feature questions are in `settings`."""

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
    chains: Chains
    quality_threshold: Threshold
    monthly_budget_usd: Budget
    settings: dict[str, SettingValue] = {}

    @property
    def slug(self) -> str:
        """The distribution's and the command's name."""
        return names.slug_of(self.project_name)

    @property
    def selection(self) -> Selection:
        """What the catalog has to know of these answers."""
        chosen = {
            kind.name: cast("list[str]", _wrap_name(getattr(self, kind.answer_key)))
            for kind in KINDS.values()
        }
        return _select(chosen, self.chains, self.agents)

    def answers(self) -> dict[str, Any]:
        """Return the answers as copier takes them: plain data, feature questions with the rest."""
        data = self.model_dump(exclude={"settings"})
        budget = data["monthly_budget_usd"]
        # A whole amount is recorded as people write it, without `.0`.
        data["monthly_budget_usd"] = int(budget) if budget == int(budget) else budget
        return data | self.settings


def _select(
    chosen: Mapping[str, Sequence[str]],
    chains: ChainModels | None,
    agents: Sequence[Agent] | None,
) -> Selection:
    agent_chains = tuple(agent.chain for agent in agents or ())
    return Selection(features=chosen, chains=chains or {}, agent_chains=agent_chains)
