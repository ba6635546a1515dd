"""One request on its way through the workspace, and what a sub-agent is.

A `Run` asks sub-agents. Each ask is a stage: it sets `current`, the one context variable that
tells the chain below which run, stage and task it is working for.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_ai import Agent, FunctionToolset, UsageLimits
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from .errors import AnswerInvalid, FleetError, SettingsError, ToolsFailed
from .fleet import Fleet, Settings
from .ledger.prices import NANO
from .ledger.store import Attempt, new_id

if TYPE_CHECKING:
    from .attempt import Call, Check

PROMPTS = Path(__file__).parents[1] / "prompts"
Toolsets = Callable[[Fleet, str], Sequence[Any]]
"""The pydantic-ai toolsets of a named sub-agent, by the settings."""
OUTPUT_TOOL = "final_result"
Output = TypeVar("Output")
Table = TypeVar("Table", bound=Settings)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks: text, and the conversation before it if there was one.

    `deadline_s` and `max_cost_usd` are for all that is done for it. Under the same `id` again it
    is the same request: what a person has answered to it is not asked for a second time.
    `options` are for the pipeline; unlike `tags` they are not kept in the ledger.
    """

    text: str
    history: Sequence[ModelMessage] = ()
    user_ref: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    id: str | None = None
    data_class: str | None = None
    deadline_s: float = math.inf
    max_cost_usd: Decimal | None = None
    wait_for_human: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes and why. `decided_by` is "fixed", "classifier" or "rule"."""

    chain: str
    reason: str
    decided_by: str
    pipeline: str = "answer"
    agent: str = "answer"
    intent: str | None = None
    complexity: int | None = None


class Chooses(Protocol):
    """Anything that finds the route of a run's request."""

    async def choose(self, run: "Run") -> Route: ...


class FixedRouter:
    """Every request takes the same way: the chain that `[stages.answer]` names."""

    async def choose(self, run: "Run") -> Route:
        return Route(run.fleet.stages["answer"].chain, "this workspace has one route", "fixed")


def text_of(completion: ModelResponse) -> str:
    """An answer as text; a typed one as its JSON."""
    for call in completion.tool_calls:
        if call.tool_name == OUTPUT_TOOL:
            return call.args_as_json_str()
    return completion.text or ""


@dataclass(frozen=True)
class SubAgent(Generic[Output]):
    """A named role: a prompt in `prompts/<name>.md`, the type of its answer, and its tools.

    A tool is a typed Python function, plain or async; its docstring tells the model its use.
    `checks` are its own, after those that fleet.toml names for its stage. `human`: a person may
    answer for it where its chain ends in one.
    """

    name: str
    output: type[Output]
    tools: tuple[Callable[..., Any], ...] = ()
    checks: Sequence["Check"] = ()
    human: bool = True

    def prompt(self) -> str:
        """The prompt's text, read at every call so that an edit needs no restart."""
        try:
            return (PROMPTS / f"{self.name}.md").read_text("utf-8")
        except OSError:
            raise SettingsError(f"prompts/{self.name}.md is missing: write it.") from None

    @cached_property
    def parameters(self) -> ModelRequestParameters:
        """Free text, or one typed answer in whichever way a model does that best."""
        if self.output is str:
            return ModelRequestParameters()
        schema = self._adapter.json_schema()
        return ModelRequestParameters(
            output_mode="auto",
            output_object=OutputObjectDefinition(json_schema=schema, name=self.name),
            output_tools=[
                ToolDefinition(name=OUTPUT_TOOL, parameters_json_schema=schema, kind="output")
            ],
            allow_text_output=False,
        )

    def parse(self, response: ModelResponse) -> Output:
        """The typed answer of a completion. Raises pydantic's ValidationError."""
        if self.output is str:
            return self._adapter.validate_python(response.text or "")
        text = text_of(response).strip()
        return self._adapter.validate_json(text.removeprefix("```json").removesuffix("```"))

    @cached_property
    def _adapter(self) -> TypeAdapter[Output]:
        return TypeAdapter(self.output)


@dataclass(frozen=True)
class Stage:
    """What the chain books an attempt under, and what a completion has to pass.

    `parse` raises where it does not fit the type `output`; `source` is the text it has to be grounded in.
    `parent` is the call whose completion this stage judges.
    """

    run_id: str = field(default_factory=new_id)
    name: str = "direct"
    agent: str | None = None
    task_type: str = "unlabelled"
    pipeline: str | None = None
    prompt_version: str | None = None
    config_version: str | None = None
    environment: str = "production"
    request: Request = field(default_factory=lambda: Request(""))
    parse: Any = None
    output: Any = str
    checks: Sequence["Check"] = ()
    may_refuse: bool = False
    human: bool = True
    source: str | None = None
    run: "Run | None" = None
    parent: "Call | None" = None
    booked: list[Attempt] = field(default_factory=list[Attempt])

    @cached_property
    def labels(self) -> dict[str, Any]:
        """The columns that all attempts of a stage share."""
        return {
            "run_id": self.run_id,
            "parent_id": self.parent.id if self.parent else None,
            "agent": self.agent,
            "task_type": self.task_type,
            "pipeline": self.pipeline,
            "stage": self.name,
            "prompt_version": self.prompt_version,
            "config_version": self.config_version,
            "environment": self.environment,
            "user_ref": self.request.user_ref,
            "tags": json.dumps(dict(self.request.tags), ensure_ascii=False, sort_keys=True),
        }

    @property
    def deadline(self) -> float:
        """When the run, or the call being judged, has to be done, on the monotonic clock."""
        return min(
            self.run.deadline if self.run else math.inf,
            self.parent.deadline if self.parent else math.inf,
        )

    def left_nano(self) -> float:
        """What may still be spent on the run, or on the call being judged."""
        run, parent = self.run, self.parent
        cap = run.request.max_cost_usd if run else None
        return min(
            int(cap * NANO) - run.spent_nano() if run and cap is not None else math.inf,
            parent.cap_nano - parent.spent_nano if parent else math.inf,
        )


current: ContextVar[Stage | None] = ContextVar("stage", default=None)


@dataclass
class Run:
    """One request, the settings and chains it may use, and every attempt made for it."""

    request: Request
    fleet: Fleet
    chains: Mapping[str, Model]
    environment: str = "production"
    config_version: str | None = None
    agents: Mapping[str, SubAgent[Any]] = field(default_factory=dict[str, SubAgent[Any]])
    toolsets: Sequence[Toolsets] = ()
    pipeline: str | None = None
    checks: Mapping[str, Sequence["Check"]] = field(default_factory=dict[str, Sequence["Check"]])
    id: str = field(default_factory=new_id)
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    settled: "list[tuple[Call, ModelResponse | list[tuple[str, str]]]]" = field(
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
        parent: "Call | None" = None,
    ) -> Output:
        """Ask a sub-agent, on its stage's chain unless told otherwise.

        `source` is the text its answer has to be grounded in. With a `parent` this judges that
        call's completion: it is billed to the same task, and is not judged itself.
        Raises ChainExhausted when no model answered, MissingKey when none could be asked,
        ToolsFailed when its tools did, BudgetReached, or Escalated when a person will answer.
        """
        prompt = self._prompt(agent)
        stage = self._stage(agent, prompt, source, parent)
        messages = [
            *self.request.history,
            ModelRequest(parts=[UserPromptPart(text)], instructions=prompt),
        ]
        model = self.chains[chain or self._chain_of(agent.name)]
        token = current.set(stage)
        try:
            if toolsets := self._toolsets(agent):
                return await self._with_tools(agent, model, text, prompt, toolsets)
            completion = await model_request(
                model, messages, model_request_parameters=agent.parameters
            )
        finally:
            current.reset(token)
        try:
            return agent.parse(completion)
        except ValidationError as error:
            raise AnswerInvalid(f"{agent.name}: {error.error_count()} fields are wrong.") from error

    def settings(self, name: str, type_: type[Table]) -> Table:
        """The table `[name]` of fleet.toml, and over it the request's options."""
        table = self.fleet.section(name, type_)
        try:
            return type_.model_validate({**dict(table), **self.request.options})
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            raise SettingsError(f"Option {wrong['loc'][0]}: {wrong['msg']}.") from None

    async def _with_tools(
        self,
        agent: SubAgent[Output],
        model: Model,
        text: str,
        prompt: str,
        toolsets: Sequence[Any],
    ) -> Output:
        named = self.fleet.agents.get(agent.name)
        limits = UsageLimits(request_limit=named.max_requests if named else 10)
        try:
            asked: Agent[None, Output] = Agent(
                model, output_type=agent.output, instructions=prompt, toolsets=toolsets
            )
            result = await asked.run(
                text, message_history=list(self.request.history), usage_limits=limits
            )
        except FleetError:
            raise
        except Exception as error:  # a tool is the team's or a server's code: it raises anything
            raise ToolsFailed(f"{agent.name}: {type(error).__name__}: {error}") from error
        return result.output

    def _toolsets(self, agent: SubAgent[Any]) -> list[Any]:
        found = [tools for provide in self.toolsets for tools in provide(self.fleet, agent.name)]
        named = self.fleet.agents.get(agent.name)
        if named and named.mcp and not found:
            raise SettingsError(
                f"fleet.toml: agents.{agent.name}.mcp needs the extra mcp; "
                "run `scaffold add extra mcp`, or take the key out."
            )
        return [FunctionToolset(list(agent.tools)), *found] if agent.tools else found

    def _prompt(self, agent: SubAgent[Any]) -> str:
        named = self.fleet.agents.get(agent.name)
        files = named.identity if named else ()
        return "\n\n".join([*map(_identity, files), agent.prompt()])

    @property
    def deadline(self) -> float:
        """When it has to be done, on the monotonic clock."""
        return self.started + self.request.deadline_s

    def cost_nano_usd(self) -> int | None:
        """What the run has cost; None when an attempt that reported usage has no price."""
        if any(attempt.cost_source == "unpriced" for attempt in self.attempts):
            return None
        return self.spent_nano()

    def spent_nano(self) -> int:
        """What its priced attempts have cost so far, in nano-USD."""
        return sum(attempt.cost_nano_usd or 0 for attempt in self.attempts)

    def _chain_of(self, name: str) -> str:
        named = self.fleet.stages.get(name) or self.fleet.agents.get(name)
        if named is None:
            raise SettingsError(f"fleet.toml: add [stages.{name}] with a chain and a task_type.")
        return named.chain

    def _stage(
        self, agent: SubAgent[Any], prompt: str, source: str | None, parent: "Call | None"
    ) -> Stage:
        known = self.fleet.stages.get(agent.name)
        asked = parent.stage if parent else None
        return Stage(
            run_id=self.id,
            name=agent.name,
            agent=agent.name,
            task_type=asked.task_type if asked else known.task_type if known else agent.name,
            pipeline=self.pipeline,
            prompt_version=hashlib.sha256(prompt.encode()).hexdigest()[:12],
            config_version=self.config_version,
            environment=self.environment,
            request=self.request,
            parse=agent.parse,
            output=agent.output,
            checks=() if parent else (*self.checks.get(agent.name, ()), *agent.checks),
            may_refuse=known.may_refuse if known else False,
            human=agent.human and parent is None,
            source=source,
            run=self,
            parent=parent,
            booked=self.attempts,
        )


def _identity(name: str) -> str:
    try:
        return (PROMPTS / "identity" / Path(name).name).read_text("utf-8").strip()
    except OSError:
        raise SettingsError(f"prompts/identity/{name} is missing: write it.") from None
