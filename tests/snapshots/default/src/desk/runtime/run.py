"""One request on its way through the workspace: what is asked for it, and what that has cost.

A `Run` asks sub-agents; each ask is a `Stage`, which `current` names to the chain below.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from .errors import SettingsError
from .fleet import Fleet, StageSettings
from .ledger.attempt import Attempt, new_id
from .ledger.writer import Ledger
from .request import Request, Route
from .settings import Table, parse_table
from .subagent import Equip, Output, SubAgent
from .text import sanitize

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Why a completion is rejected, if it is, and how good it is."""

    reason: str | None = None
    """Short snake case: the ledger's `error_type`."""
    quality: float | None = None
    """From 0 to 1."""
    source: str | None = None
    """The ledger's `quality_source`: "check", "agreement", "judge" or "human"."""


PASSED = CheckResult()


class AskedCall(Protocol):
    """One request to a chain, as checks, the stages that judge it, and people see it."""

    @property
    def id(self) -> str: ...
    @property
    def chain(self) -> str: ...
    @property
    def stage(self) -> "Stage": ...
    @property
    def messages(self) -> "list[ModelMessage]": ...
    @property
    def parameters(self) -> "ModelRequestParameters": ...
    @property
    def rows(self) -> Sequence[Attempt]: ...
    @property
    def deadline(self) -> float: ...
    @property
    def cap_usd(self) -> Decimal | None: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def question(self) -> str: ...


Check = Callable[
    ["ModelResponse", AskedCall], Awaitable[CheckResult | str | None] | CheckResult | str | None
]
"""Returns None or a reason to reject a completion, at once or after asking a model."""
MakeCheck = Callable[[str], Check]
"""Makes a check of its argument, the text after `:` in fleet.toml; ValueError says what is wrong."""


_DIRECT = SubAgent("direct", str)


@dataclass(frozen=True)
class Stage:
    """One ask: what the chain books its attempts under, and what a completion has to pass.

    `source` is the text an answer has to be grounded in. `parent` is the call whose completion
    this stage judges: it is billed to the same task, and is not judged itself. A chain that is
    used on its own, outside a run, works for the plain `Stage()`.
    """

    run: "Run" = field(default_factory=lambda: Run(Request(""), Fleet(chains={}), {}))
    agent: SubAgent[Any] = _DIRECT
    prompt: str = ""
    source: str | None = None
    parent: AskedCall | None = None

    @property
    def name(self) -> str:
        return self.agent.name

    @property
    def request(self) -> Request:
        return self.run.request

    @property
    def settings(self) -> StageSettings:
        return self.run.fleet.stage(self.name)

    @property
    def task_type(self) -> str:
        return self.parent.stage.task_type if self.parent else self.settings.task_type or self.name

    @property
    def checks(self) -> Sequence[Check]:
        return () if self.parent else (*self.run.checks.get(self.name, ()), *self.agent.checks)

    @property
    def human(self) -> bool:
        return self.agent.human and not self.parent

    @cached_property
    def labels(self) -> dict[str, Any]:
        """Return the columns that all attempts of a stage share."""
        prompt = sha256(sanitize(self.prompt).encode()).hexdigest()[:12] if self.prompt else None
        labels = {
            "run_id": self.run.id,
            "parent_id": self.parent.id if self.parent else None,
            "agent": self.name,
            "task_type": self.task_type,
            "pipeline": self.run.pipeline,
            "stage": self.name,
            "prompt_version": prompt,
            "config_version": self.run.fleet.version,
            "environment": self.run.environment,
            "user_ref": self.request.user_ref,
            "tags": json.dumps(dict(self.request.tags), ensure_ascii=False, sort_keys=True),
        }
        return sanitize(labels)


current: ContextVar[Stage | None] = ContextVar("stage", default=None)


@dataclass
class Run:
    """One request, the settings and chains it may use, and every attempt made for it."""

    request: Request
    fleet: Fleet
    chains: "Mapping[str, Model]"
    environment: str = "production"
    agents: Mapping[str, SubAgent[Any]] = field(default_factory=dict[str, SubAgent[Any]])
    checks: Mapping[str, Sequence[Check]] = field(default_factory=dict[str, Sequence[Check]])
    agent_keys: Mapping[str, Equip] = field(default_factory=dict[str, Equip])
    ledger: Ledger | None = None
    pipeline: str | None = None
    id: str = field(default_factory=new_id)
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    settled: "list[tuple[AskedCall, ModelResponse | list[tuple[str, str]]]]" = field(
        default_factory=list[Any]
    )
    started: float = field(default_factory=time.monotonic)

    async def ask(
        self,
        agent: SubAgent[Output],
        text: str,
        *,
        chain: str | None = None,
        source: str | None = None,
        parent: AskedCall | None = None,
    ) -> Output:
        """Ask a sub-agent, on its stage's chain unless `chain` is given; `Stage` says the rest.

        Raises ChainExhausted when no model answered, MissingKey when none could be asked,
        ToolsFailed when its tools did, BudgetReached, or Escalated when a person will answer.
        """
        for key, names in self.fleet.agent(agent.name).further.items():
            agent = self.agent_keys[key](agent, names, self.fleet)
        stage = Stage(self, agent, agent.prompt(), source, parent)
        name = chain or stage.settings.chain
        if name not in self.chains:
            table = f"[chains.{name}]" if name else f"[stages.{agent.name}] with a chain"
            raise SettingsError(f"fleet.toml has no {table}, which {agent.name} asks", "add it")
        most = self.fleet.agent(agent.name).max_requests
        token = current.set(stage)
        try:
            return await agent.ask(
                self.chains[name], text, stage.prompt, self.request.history, max_requests=most
            )
        finally:
            current.reset(token)

    def settings(self, name: str, type_: type[Table]) -> Table:
        """Return the table `[name]` of fleet.toml, and over it the request's options."""
        table = self.fleet.section(name, type_)
        return parse_table(type_, {**dict(table), **self.request.options}, "Option ")

    @property
    def deadline(self) -> float:
        """Return when it has to be done, on the monotonic clock."""
        return self.started + self.request.deadline_s

    def cost_nano_usd(self) -> int | None:
        """Return what the run has cost; None when an attempt that reported usage has no price."""
        if any(attempt.cost_source == "unpriced" for attempt in self.attempts):
            return None
        return self.spent_nano()

    def spent_nano(self, call_id: str | None = None) -> int:
        """Return what its priced attempts have cost so far, or those for one call, in nano-USD."""
        rows = self.attempts
        if call_id:
            rows = [row for row in rows if call_id in (row.call_id, row.parent_id)]
        return sum(row.cost_nano_usd or 0 for row in rows)


class FixedRouter:
    """Every request takes the same way: the chain that `[stages.answer]` names."""

    async def choose(self, run: Run) -> Route:
        return Route(run.fleet.stage("answer").chain, "this workspace has one route", "fixed")
