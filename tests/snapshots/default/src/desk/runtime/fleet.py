"""fleet.toml as typed settings: chains, stages, sub-agents, deployments, budgets."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field

from .credentials import hide_settings
from .errors import SettingsError
from .settings import (
    Open,
    Settings,
    Table,
    drop_retired,
    parse_table,
    read_toml,
    suggest,
    warn_of_misspelt,
)

if TYPE_CHECKING:
    from pydantic_ai.models import Model


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`provider:model`, or `provider:model@deployment`."""

    provider: str
    model: str
    deployment: str | None = None

    @classmethod
    def parse(cls, text: object) -> "ModelRef":
        """Split at the first `:` and the last `@`: a model's own name may hold both."""
        parts = re.fullmatch(r"([^:]+):((?!@).*?[^@])(?:@([^@]+))?", str(text))
        if parts is None:
            raise ValueError(f"'{text}' is not provider:model or provider:model@deployment")
        return cls(*parts.groups())

    @property
    def place(self) -> str:
        """Return where it runs, as `[data]` and `[limits]` name it: `provider` or with `@deployment`."""
        return f"{self.provider}@{self.deployment}" if self.deployment else self.provider

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" + (f"@{self.deployment}" if self.deployment else "")


class Deployment(Settings):
    """Where and how a provider is reached; `keyless`: with the cloud's own login, not a key.

    `model` is what it serves, under whatever name: its price is that model's.
    """

    model: str | None = None
    key_env: str | None = None
    keyless: bool = False
    base_url: str | None = None
    region: str | None = None
    max_concurrent: int | None = Field(default=None, ge=1)


class Provider(Protocol):
    """What each module of runtime/providers offers; `PRICES` is its id in genai-prices, if any.

    `keys` are the environment variables it needs there, beyond what the deployment itself says;
    `build` makes a client for one model, SDK retries off: every attempt is the chain's. Two more
    are optional: `FREE_NAMES = True` where a model's name says nothing of what is served, and
    `price_varies(model, deployment)`: whether a price there may differ from the list's.
    """

    PRICES: Final[str | None]

    def keys(self, deployment: Deployment) -> tuple[str, ...]: ...
    def build(self, model: str, deployment: Deployment) -> "Model": ...


class ChainSettings(Settings):
    """Models in the order they are asked, and what one call may take and cost in all.

    `deadline_s` is shared out among the models left; `attempt_s` is the most one of them gets.
    Retries come after one pass over all of them and about `backoff_s`.
    """

    models: tuple[Annotated[ModelRef, BeforeValidator(ModelRef.parse)], ...] = Field(min_length=1)
    deadline_s: float = Field(default=30, gt=0)
    attempt_s: float | None = Field(default=None, gt=0)
    backoff_s: float = Field(default=0.5, ge=0)
    max_cost_usd: Decimal | None = Field(default=None, gt=0)
    on_exhausted: Literal["fail", "human"] = "fail"
    on_content_filter: Literal["next", "stop", "human"] = "next"
    on_cut: Literal["fail", "restart"] = "fail"


class StageSettings(Settings):
    """The chain a stage asks, the task type it is booked under, what its answer has to pass.

    `may_refuse`: an answer that sounds like a refusal can be a good one here.
    """

    chain: str
    task_type: str
    checks: tuple[str, ...] = ()
    may_refuse: bool = False


class AgentSettings(StageSettings, Open):
    """One of the team's sub-agents: a stage, and what it handles, which the router reads.

    Its task type is its name, unless given. One ask of a sub-agent with tools makes at most
    `max_requests` requests to its chain. Further keys are for `AGENT_KEYS` of wiring.py.
    """

    task_type: str = ""
    description: str
    max_requests: int = Field(default=10, ge=1)


class PipelineSettings(Settings):
    """Which requests a pipeline is for: the router reads this."""

    description: str


class Quality(Settings):
    """From which score or confidence on an answer is good enough (0 to 1)."""

    threshold: float = Field(default=0.7, ge=0, le=1)


class Budgets(Settings):
    """US dollars; 0 or absent means no budget. Months are calendar months in UTC.

    At 80 % of a month's budget there is one warning; when a budget is used up, `at_limit` says what
    happens. `call_usd` caps every call, as a chain's own `max_cost_usd` does. The most that an
    attempt may cost is reserved first, with `answer_tokens` where its request has no `max_tokens`.
    """

    month_usd: Decimal = Field(default=Decimal(0), ge=0)
    task_usd: dict[str, Annotated[Decimal, Field(ge=0)]] = Field(default={})
    run_usd: Decimal = Field(default=Decimal(0), ge=0)
    call_usd: Decimal = Field(default=Decimal(0), ge=0)
    answer_tokens: int = Field(default=4096, ge=1)
    at_limit: Literal["refuse", "cheap_only", "human"] = "refuse"


class Circuits(Settings):
    """After how many failures in a row a model is left alone, and for how many seconds."""

    failures: int = Field(default=5, ge=1)
    open_s: float = Field(default=30, gt=0)


class Data(Open):
    """Which classes of data may go where: `place = ["public", ...]`; none but those listed may.

    A request without a class is `unclassified`, or may go anywhere; `regions` binds a class to regions.
    """

    unclassified: str | None = None
    regions: dict[str, tuple[str, ...]] = Field(default={})


class Fleet(Settings):
    """The whole file, with its hash as `version`. Features read their tables with `section`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    chains: dict[str, ChainSettings]
    stages: dict[str, StageSettings] = Field(default={})
    agents: dict[str, AgentSettings] = Field(default={})
    pipelines: dict[str, PipelineSettings] = Field(default={})
    deployments: dict[str, Deployment] = Field(default={})
    quality: Quality = Quality()
    budgets: Budgets = Budgets()
    circuits: Circuits = Circuits()
    limits: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})
    data: Data = Data()
    version: str | None = None

    def section(self, name: str, type_: type[Table]) -> Table:
        """Return the table `[name]` of a feature; its defaults where the table is absent."""
        tables: dict[str, Any] = self.model_extra or {}
        if name not in tables:
            warn_of_misspelt(tables, [name])
        return parse_table(type_, tables.get(name, {}), f"fleet.toml: {name}.")

    def agent(self, name: str) -> AgentSettings:
        """Return the settings of a sub-agent; without a chain where there are none."""
        return self.agents.get(name, AgentSettings(chain="", description=""))

    def stage(self, name: str) -> StageSettings:
        """Return the settings of a stage, or of the sub-agent of that name."""
        return self.stages.get(name) or self.agent(name)

    def deployment(self, ref: ModelRef) -> Deployment:
        """Return the deployment that a reference names, or the provider's usual place."""
        return self.deployments[ref.deployment] if ref.deployment else Deployment()

    def permits(self, ref: ModelRef, data_class: str | None) -> bool:
        """Return whether data of a class may go to a model; what nobody listed goes nowhere."""
        data_class = data_class or self.data.unclassified
        if data_class is None:
            return True
        regions = self.data.regions.get(data_class)
        if regions is not None and self.deployment(ref).region not in regions:
            return False
        return data_class in self.data.further.get(ref.place, ())


def load(path: Path) -> Fleet:
    """Read fleet.toml. Raises SettingsError that names every wrong key; a retired one is left out."""
    tables, version = read_toml(path)
    hide_settings(tables)
    drop_retired(path, tables)
    fleet = parse_table(Fleet, {**tables, "version": version}, "fleet.toml: ")
    warn_of_misspelt(fleet.model_extra or {}, Fleet.model_fields.keys() - fleet.model_fields_set)
    if wrong := list(_dangling(fleet)):
        problems = "; ".join(problem for problem, _ in wrong)
        hints = "; ".join(dict.fromkeys(hint for _, hint in wrong))
        raise SettingsError(f"fleet.toml: {problems}", hints)
    return fleet


def find_root() -> Path:
    """Return the workspace's folder: FLEET_ROOT, else the nearest one upwards with a fleet.toml."""
    if root := os.environ.get("FLEET_ROOT"):
        return Path(root)
    places = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    return next((place for place in places if (place / "fleet.toml").is_file()), Path.cwd())


def _dangling(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each name that is used and that no table has, and a hint."""
    for table, stages in (("stages", fleet.stages), ("agents", fleet.agents)):
        for name, stage in stages.items():
            if stage.chain not in fleet.chains:
                problem = f"{table}.{name}.chain is '{stage.chain}', which is not under [chains]"
                yield problem, suggest(stage.chain, fleet.chains)
    for name, chain in fleet.chains.items():
        for ref in chain.models:
            if ref.deployment and ref.deployment not in fleet.deployments:
                problem = f"chains.{name}: there is no [deployments.{ref.deployment}]"
                yield problem, f"add it, or take @{ref.deployment} off {ref}"
