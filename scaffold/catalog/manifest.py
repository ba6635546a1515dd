"""The parts of a manifest: stages, estimates, questions, variables and models of one feature."""

from typing import Annotated, Literal, Self, TypeGuard

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Tier = Literal["cheap", "balanced", "expensive"]
TIERS: tuple[Tier, ...] = ("cheap", "balanced", "expensive")
SettingValue = str | int | float | bool
_TYPES = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


class Part(BaseModel):
    """A table of a manifest; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(Part):
    """A stage that a feature brings: its chain, and the task type of its rows in the ledger."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    chain: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    task_type: str


class Tokens(Part):
    """Tokens of one call for a request of the usual size, by what they grow with.

    `fixed` tokens are the same for every request, `input` tokens grow with what is read for it,
    and `output` tokens grow with the answer.
    """

    fixed: int = Field(default=0, ge=0)
    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)


def _accept_number(grows_with: str) -> BeforeValidator:
    """Return a validator that reads a plain number as tokens that grow with one thing alone.

    The manifests of releases before 0.6.0 write it like that.
    """

    def convert(value: object) -> object:
        return {grows_with: value} if isinstance(value, int) else value

    return BeforeValidator(convert)


class Estimate(Part):
    """What one request costs on one chain, and the share of requests that need it (0 to 1).

    `in_parts`: these tokens are those of many short calls, so the price of a long prompt never
    applies.
    """

    chain: str
    input_tokens: Annotated[Tokens, _accept_number("input")]
    output_tokens: Annotated[Tokens, _accept_number("output")]
    share: float = Field(ge=0, le=1)
    in_parts: bool = False


class Baseline(Part):
    """The same work as one call of one model: what that call reads and writes.

    For the ledger, by stages: the call reads what `reads` reads (`each`: every call of that stage
    reads another piece) and writes what the last call of `writes` wrote. For estimates: the usual
    tokens of a request and its answer, and those of the sources that the pattern finds itself.
    """

    reads: str = ""
    each: bool = False
    writes: list[str] = []
    input_tokens: int = Field(gt=0)
    output_tokens: int = Field(gt=0)
    source_tokens: int = Field(default=0, ge=0)


class Claim(Part):
    """What is said of a pattern, and what was measured, with its source."""

    says: str
    measured: str


class Wires(Part):
    """What a feature adds to the registries of a workspace, by the modules that hold it.

    In `wiring.py`: `pipeline` with what it `handles`, for the router, and the registries that it
    `takes` as arguments (`searches`); `router`; `checks`; `agent_key`, whose `equip` reads the key
    of that name under `[agents.X]`; `reader`, whose `read(path)` returns the text of a file;
    `human`, `stream` and `texts`; the modules whose `adapt` every model goes through; the module
    that measures the `saving`; modules of `runtime/ledger` with more `prices`, with `findings`, with
    sums by what only attempts have (`sums`) and with the `forecast` of the month; `ledgers` by URL
    scheme, and `exports` by the suffix of the files that they write.

    Elsewhere: `commands` of `commands/__init__.py`, by the words that call them; modules of
    `diagnoses`, each a function `diagnose` that `doctor` calls; modules of
    `runtime/converters` named like the suffix of the files that they read (`converters`); the
    chain that the plain `answer` stage asks (`answer_chain`). `toolset` is read in the manifests
    of earlier releases only.
    """

    router: str | None = None
    answer_chain: str | None = None
    pipeline: str | None = None
    takes: list[str] = []
    handles: str = ""
    agent_key: str | None = None
    toolset: str | None = None
    checks: str | None = None
    human: str | None = None
    stream: str | None = None
    texts: str | None = None
    adapt: str | None = None
    prices: str | None = None
    reader: str | None = None
    diagnoses: list[str] = []
    saving: str | None = None
    commands: dict[str, str] = {}
    converters: list[str] = []
    findings: list[str] = []
    sums: str | None = None
    forecast: str | None = None
    ledgers: dict[str, str] = {}
    exports: dict[str, str] = {}


class ProposedAgent(Part):
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
    default: SettingValue
    help: str
    min: float | None = None
    max: float | None = None
    choices: list[str] = []
    before: SettingValue | None = None

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if not self.has_type(self.default):
            raise ValueError(f"the default {self.default!r} is not of type {self.type}")
        if problem := self.find_problem(self.default):
            raise ValueError(f"the default {self.default!r} {problem}")
        return self

    def has_type(self, value: object) -> TypeGuard[SettingValue]:
        """Tell whether a value has the type of the answer."""
        # The type itself is compared: in Python, True is an integer.
        return type(value) in _TYPES[self.type]

    def find_problem(self, value: SettingValue) -> str | None:
        """Return why a value of the right type is not a choice, or is out of bounds, or None."""
        if self.choices and value not in self.choices:
            return f"is not one of {', '.join(self.choices)}"
        if isinstance(value, str | bool):
            return None
        if self.min is not None and not value >= self.min:
            return f"is less than {self.min:g}"
        if self.max is not None and not value <= self.max:
            return f"is more than {self.max:g}"
        return None


class EnvVar(Part):
    """An environment variable that a workspace reads at run time; never its value."""

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
        """Return the model of one tier."""
        return {"cheap": self.cheap, "balanced": self.balanced, "expensive": self.expensive}[tier]
