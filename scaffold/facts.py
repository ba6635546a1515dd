"""The parts of a manifest: stages, estimates, questions, variables and models of one feature."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Tier = Literal["cheap", "balanced", "expensive"]
TIERS: tuple[Tier, ...] = ("cheap", "balanced", "expensive")


class Part(BaseModel):
    """A table of a manifest: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageFact(Part):
    """A stage a feature brings: its chain, and the task type the ledger books it under."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    chain: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    task_type: str


class Estimate(Part):
    """What one request costs on one chain: tokens per call, and the share of requests (0 to 1)."""

    chain: str
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    share: float = Field(ge=0, le=1)


class Wires(Part):
    """The modules wiring.py connects, and the chain the plain `answer` stage asks.

    `handles` tells the router which requests the pipeline is for; `agent_key` is a module whose
    `equip` reads the key of that name under `[agents.X]`, `reader` one whose `read(path)` is the
    text of a file. `toolset` is of templates before 0.4.
    """

    router: str | None = None
    answer_chain: str | None = None
    pipeline: str | None = None
    handles: str = ""
    agent_key: str | None = None
    toolset: str | None = None
    checks: str | None = None
    human: str | None = None
    stream: str | None = None
    texts: str | None = None
    reader: str | None = None


class AgentFact(Part):
    """A sub-agent proposed by default."""

    name: str
    description: str
    chain: str


class Rename(Part):
    """A file or folder that an earlier version had elsewhere, so that a team's edits move along."""

    old: str
    new: str


class Question(Part):
    """A question of a feature's own; numbers have bounds, strings may have choices.

    `before` is the answer for a workspace that is older than the question, where the default
    would change what it does.
    """

    type: Literal["str", "int", "float", "bool"]
    default: str | int | float | bool
    help: str
    min: float | None = None
    max: float | None = None
    choices: list[str] = []
    before: str | int | float | bool | None = None


class EnvVar(Part):
    """An environment variable a workspace reads at run time; never its value."""

    name: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    help: str
    required: bool = True
    secret: bool = True
    default: str | None = None


class Models(Part):
    """A provider's current default model per tier."""

    cheap: str
    balanced: str
    expensive: str

    def of(self, tier: Tier) -> str:
        return {"cheap": self.cheap, "balanced": self.balanced, "expensive": self.expensive}[tier]
