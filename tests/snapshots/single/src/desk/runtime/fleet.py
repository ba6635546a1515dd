"""fleet.toml as typed settings: chains, stages, sub-agents, deployments, budgets."""

import os
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import SettingsError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

Section = TypeVar("Section", bound=BaseModel)


class Settings(BaseModel):
    """A table of fleet.toml: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`provider:model`, or `provider:model@deployment`."""

    provider: str
    model: str
    deployment: str | None = None

    @classmethod
    def parse(cls, text: object) -> "ModelRef":
        """Split at the first `:` and the last `@`: a model's own name may hold both."""
        provider, colon, rest = str(text).partition(":")
        model, at, deployment = rest.rpartition("@") if "@" in rest else (rest, "", "")
        if not (provider and colon and model) or (at and not deployment):
            raise ValueError(f"'{text}' is not provider:model or provider:model@deployment")
        return cls(provider, model, deployment or None)

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" + (f"@{self.deployment}" if self.deployment else "")


class Deployment(Settings):
    """Where and with which key a provider is reached, when it is not the usual place."""

    key_env: str | None = None
    base_url: str | None = None
    region: str | None = None


class Provider(Protocol):
    """What each module of runtime/providers offers."""

    @property
    def KEYS(self) -> tuple[str, ...]:
        """The environment variables it needs."""
        ...

    @property
    def PRICES(self) -> str | None:
        """Its id in genai-prices, if its prices are public."""
        ...

    def build(self, model: str, deployment: Deployment) -> "Model":
        """A client for one model, SDK retries off: every attempt is the chain's."""
        ...


class ChainSettings(Settings):
    """Models in the order they are asked, and the seconds one call may take in all."""

    models: tuple[Annotated[ModelRef, BeforeValidator(ModelRef.parse)], ...] = Field(min_length=1)
    deadline_s: float = Field(default=30, gt=0)


class StageSettings(Settings):
    """Which chain a stage asks, and the task type the ledger books it under."""

    chain: str
    task_type: str


class AgentSettings(Settings):
    """One of the team's sub-agents: what it handles (the router reads this) and its chain.

    `mcp` names the `[mcp]` servers whose tools it may call, `identity` the files of
    `prompts/identity` it reads before its prompt. One ask of a sub-agent with tools makes at most
    `max_requests` requests to its chain.
    """

    description: str
    chain: str
    mcp: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    max_requests: int = Field(default=10, ge=1)


class PipelineSettings(Settings):
    """Which requests a pipeline is for: the router reads this."""

    description: str


class Quality(Settings):
    """From which score or confidence on an answer is good enough (0 to 1)."""

    threshold: float = Field(default=0.7, ge=0, le=1)


class Budgets(Settings):
    """What a calendar month may cost; 0 means no budget."""

    month_usd: Decimal = Field(default=Decimal(0), ge=0)


class Fleet(BaseModel):
    """The whole file. Tables of features are read with `section`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    chains: dict[str, ChainSettings]
    stages: dict[str, StageSettings] = {}
    agents: dict[str, AgentSettings] = {}
    pipelines: dict[str, PipelineSettings] = {}
    deployments: dict[str, Deployment] = {}
    quality: Quality = Quality()
    budgets: Budgets = Budgets()

    def section(self, name: str, type_: type[Section]) -> Section:
        """The table `[name]` of a feature; its defaults where the table is absent."""
        try:
            return type_.model_validate((self.model_extra or {}).get(name, {}))
        except ValidationError as error:
            raise _advice(error, name) from None

    def deployment(self, ref: ModelRef) -> Deployment:
        """The deployment a reference names, or the provider's usual place."""
        return self.deployments[ref.deployment] if ref.deployment else Deployment()


def load(path: Path) -> Fleet:
    """Read fleet.toml. Raises SettingsError that names every wrong key."""
    try:
        fleet = Fleet.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError:
        raise SettingsError(f"{path} cannot be read; run from the workspace's folder.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise _advice(error) from None
    _check_names(fleet)
    return fleet


def find_root() -> Path:
    """The workspace's folder: FLEET_ROOT, else the nearest one upwards with a fleet.toml."""
    if root := os.environ.get("FLEET_ROOT"):
        return Path(root)
    package = Path(__file__).resolve()
    places = [Path.cwd(), *Path.cwd().parents, *package.parents]
    return next((place for place in places if (place / "fleet.toml").is_file()), Path.cwd())


def _check_names(fleet: Fleet) -> None:
    used = {f"stages.{name}": stage.chain for name, stage in fleet.stages.items()}
    used |= {f"agents.{name}": agent.chain for name, agent in fleet.agents.items()}
    wrong = [
        f"{key}.chain is '{chain}', which is not under [chains]"
        for key, chain in used.items()
        if chain not in fleet.chains
    ]
    wrong += [
        f"chains.{name} names deployment '{ref.deployment}', which is not under [deployments]"
        for name, chain in fleet.chains.items()
        for ref in chain.models
        if ref.deployment and ref.deployment not in fleet.deployments
    ]
    if wrong:
        raise SettingsError("fleet.toml: " + "; ".join(wrong) + ".")


def _advice(error: ValidationError, table: str = "") -> SettingsError:
    lines = [
        ".".join([*([table] if table else []), *map(str, detail["loc"])]) + f": {detail['msg']}"
        for detail in error.errors(include_url=False)
    ]
    return SettingsError("fleet.toml: " + "; ".join(lines) + ".")
