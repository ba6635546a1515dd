"""fleet.toml as typed settings: chains, stages, sub-agents, deployments, budgets."""

import logging
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import SettingsError, find_remedy
from .redaction import hide_settings, redact_secrets

if TYPE_CHECKING:
    from pydantic_ai.models import Model

log = logging.getLogger(__name__)

Section = TypeVar("Section", bound=BaseModel)

RETIRED = {
    "router.long_from_chars": "A request whose classifier fails goes to the expensive chain, "
    "whatever its length: delete the line. 'router.expensive_from' sets what else goes there.",
}
"""Settings that had an effect in earlier versions, by `table.key`: what holds now."""


class Settings(BaseModel):
    """A table of fleet.toml: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr__(self) -> str:
        return redact_secrets(super().__repr__())

    __str__ = __repr__


class Open(Settings):
    """A table whose further keys, each a list of names, are not known here."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, tuple[str, ...]] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def further(self) -> dict[str, tuple[str, ...]]:
        return self.__pydantic_extra__


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


UNKNOWN = AgentSettings(chain="", description="")


class PipelineSettings(Settings):
    """Which requests a pipeline is for: the router reads this."""

    description: str


class BaselineSettings(Settings):
    """The model that the saving is measured against: one call of it for each request."""

    model: Annotated[ModelRef, BeforeValidator(ModelRef.parse)] | None = None


class Quality(Settings):
    """From which score or confidence on an answer is good enough (0 to 1)."""

    threshold: float = Field(default=0.7, ge=0, le=1)


class Budgets(Settings):
    """US dollars; 0 or absent means no budget. Months are calendar months in UTC.

    At 80 % of a month's budget there is one warning. At 100 %, and when a run has used up
    `run_usd`, `at_limit` says what happens: refuse, ask only the models of `[chains.cheap]`,
    or a human. `call_usd` caps every call, as a chain's own `max_cost_usd` does. What an attempt
    may cost is reserved before it is sent; `answer_tokens` is how long an answer is taken to get
    where its request has no `max_tokens`.
    """

    month_usd: Decimal = Field(default=Decimal(0), ge=0)
    task_usd: dict[str, Annotated[Decimal, Field(ge=0)]] = {}
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

    `unclassified` is what a request without a class counts as; absent, it may go anywhere.
    `regions` binds a class to the regions that deployments declare.
    """

    unclassified: str | None = None
    regions: dict[str, tuple[str, ...]] = {}


class Fleet(Settings):
    """The whole file, with its hash as `version`. Features read their tables with `section`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    chains: dict[str, ChainSettings]
    stages: dict[str, StageSettings] = {}
    agents: dict[str, AgentSettings] = {}
    pipelines: dict[str, PipelineSettings] = {}
    deployments: dict[str, Deployment] = {}
    quality: Quality = Quality()
    baseline: BaselineSettings = BaselineSettings()
    budgets: Budgets = Budgets()
    circuits: Circuits = Circuits()
    limits: dict[str, Annotated[int, Field(ge=1)]] = {}
    data: Data = Data()
    version: str | None = None

    def section(self, name: str, type_: type[Section]) -> Section:
        """Return the table `[name]` of a feature; its defaults where the table is absent."""
        _warn_of_misspelt(self, [name])
        return parse_table(type_, (self.model_extra or {}).get(name, {}), f"fleet.toml: {name}.")

    @property
    def baseline_model(self) -> ModelRef | None:
        """Return what `[baseline]` names, else the first of the expensive chain, if there is one."""
        expensive = self.chains.get("expensive")
        return self.baseline.model or (expensive.models[0] if expensive else None)

    def agent(self, name: str) -> AgentSettings:
        """Return the settings of a sub-agent; without a chain where there are none."""
        return self.agents.get(name, UNKNOWN)

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
    for name, successor in RETIRED.items():
        table, _, key = name.partition(".")
        if isinstance(tables.get(table), dict) and key in tables[table]:
            del tables[table][key]
            _warn_once(f"{path.name}: '{name}' has no effect any more. {successor}")
    fleet = parse_table(Fleet, {**tables, "version": version}, "fleet.toml: ")
    _warn_of_misspelt(fleet, list(Fleet.model_fields))
    if wrong := "; ".join(_dangling(fleet)):
        raise SettingsError(f"fleet.toml: {wrong}")
    return fleet


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the tables of a file, and its version: a hash. Raises SettingsError."""
    try:
        text = path.read_bytes()
        return tomllib.loads(text.decode()), sha256(text).hexdigest()[:12]
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing", "run from the workspace's folder") from None
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise SettingsError(problem, find_remedy(error)) from error
    except ValueError as error:  # bad TOML, or no UTF-8
        raise SettingsError(f"{path.name} is not valid TOML ({error})", "correct it") from None


def _warn_of_misspelt(fleet: Fleet, names: Sequence[str]) -> None:
    """Say which tables are named almost like one that is read: nobody reads those."""
    further = fleet.model_extra or {}
    absent = [name for name in names if name not in {*further, *fleet.model_fields_set}]
    for name in further:
        if close := get_close_matches(name, absent, 1, 0.75):
            _warn_once(f"fleet.toml: [{name}] has no effect; did you mean [{close[0]}]?")


@cache
def _warn_once(text: str) -> None:
    log.warning(text)


def parse_table(type_: type[Section], table: object, where: str) -> Section:
    """Return a table as its settings. Raises SettingsError that names every wrong key."""
    try:
        return type_.model_validate(table)
    except ValidationError as error:
        raise advice(error, where, type_) from None


def advice(error: ValidationError, where: str, type_: Any = None) -> SettingsError:
    """Name every wrong key in one line, and what an unknown one may be meant to be."""
    wrong: list[str] = []
    for detail in error.errors(include_url=False):
        loc, reason = detail["loc"], detail["msg"]
        if detail["type"] == "extra_forbidden":
            known = _keys(type_, loc[:-1])
            close = get_close_matches(str(loc[-1]), known, 1)
            reason = f"unknown key; did you mean '{close[0]}'?" if close else "unknown key"
            reason += f" (known: {', '.join(known)})" if known and not close else ""
        wrong.append(".".join(map(str, loc)) + f": {reason}")
    return SettingsError(f"{where}{'; '.join(wrong)}")


def _keys(type_: Any, path: Sequence[int | str]) -> list[str]:
    """Return the keys of a table within a table; none where it is not one of ours."""
    for part in path:
        fields = getattr(type_, "model_fields", {})
        inner = fields[part].annotation if part in fields else (get_args(type_) or (None,))[-1]
        type_ = inner
    return list(getattr(type_, "model_fields", {}))


def find_root() -> Path:
    """Return the workspace's folder: FLEET_ROOT, else the nearest one upwards with a fleet.toml."""
    if root := os.environ.get("FLEET_ROOT"):
        return Path(root)
    places = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    return next((place for place in places if (place / "fleet.toml").is_file()), Path.cwd())


def _dangling(fleet: Fleet) -> Iterator[str]:
    """Yield what is wrong with each name that is used, and that no table has."""
    for table, stages in (("stages", fleet.stages), ("agents", fleet.agents)):
        for name, stage in stages.items():
            if stage.chain not in fleet.chains:
                yield f"{table}.{name}.chain is '{stage.chain}', which is not under [chains]"
    for name, chain in fleet.chains.items():
        for ref in chain.models:
            if ref.deployment and ref.deployment not in fleet.deployments:
                yield f"chains.{name}: there is no [deployments.{ref.deployment}]"
