"""One attempt: may this model be asked, what came of it, and the row it leaves in the ledger.

A `Candidate` is a model as the workspace knows it, shared by every chain that names it; a `Call`
is one request to a chain, and asks one candidate after the other.
"""

import asyncio
import json
import logging
import math
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_ai.messages import ImageUrl, ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .errors import Escalated, SettingsError, Unanswered
from .failures import FAILURES, POLICY, Failure, Health, of_error, of_response, survivable
from .fleet import Fleet, ModelRef
from .ledger.prices import Prices, Spending, other_units
from .ledger.store import Attempt, Ledger, LedgerSettings, Location, Statement, new_id
from .run import Run, Stage

log = logging.getLogger(__name__)

CHARS_PER_TOKEN = 5  # a prompt that is too long by this careful measure is too long
PER_CLIENT = 10  # requests at once: a client looks at all its idle connections for each of them


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: why a completion is rejected, if it is, and how good it is (0 to 1).

    `reason` is short snake case: the ledger's `error_type`. `source` is its `quality_source`:
    "check", "agreement", "judge" or "human".
    """

    reason: str | None = None
    quality: float | None = None
    source: str | None = None


NOTHING = Finding()


Verdict = Finding | str | None
Check = Callable[[ModelResponse, "Call"], Verdict | Awaitable[Verdict]]
"""A test of a completion: None or a reason to reject it, at once or after asking a model."""
MakeCheck = Callable[[str], Check]
"""A check from its argument, the text after `:` in fleet.toml; ValueError says what is wrong."""


class Human(Protocol):
    """The last model of a chain. Raises Escalated where the answer comes later.

    `earlier` is what a request that was handed over before got for this very call, if it is
    known; ChainExhausted where no model had answered. `answer` raises Unanswered when none will
    come; who gives it books it. `keep` remembers what a run that ended in a ticket got elsewhere,
    for when its request comes again.
    """

    async def earlier(self, call: "Call") -> ModelResponse | None: ...
    async def answer(self, call: "Call") -> ModelResponse: ...
    def keep(self, run: Run, ticket: str) -> None: ...
    async def aclose(self) -> None: ...


PERSON = ModelRef("human", "human")
MakeHuman = Callable[[Path, Fleet], Human]
OpenStream = Callable[[Any, "Call"], AbstractAsyncContextManager[StreamedResponse]]
"""Opens the stream of a Chain's call."""
Texts = Callable[["Call"], Sequence[Statement]]
"""What stores a call's prompts and answers, in the transaction of its rows."""
OpenTexts = Callable[[Location, LedgerSettings], Texts | None]


@dataclass(frozen=True)
class Shared:
    """What all chains of a workspace share."""

    ledger: Ledger
    prices: Prices
    spending: Spending
    permits: Callable[[ModelRef, str | None], bool]
    human: Human | None = None
    stream: OpenStream | None = None
    texts: Texts | None = None
    under_way: dict[str, asyncio.Task[Any] | None] = field(default_factory=dict[str, Any])

    def begin(self, call: "Call") -> None:
        """A workspace that is left cancels the call's task. Raises LedgerError if it was left."""
        self.ledger.expect_open()
        self.under_way[call.id] = asyncio.current_task()

    async def end(self, call: "Call") -> None:
        """Return once the call's rows are in the ledger."""
        del self.under_way[call.id]
        self.spending.add(call.rows)
        await self.ledger.write(call.rows, self.texts(call) if self.texts else ())


@dataclass(eq=False)
class Candidate:
    """One model, shared by the chains that name it: its clients, its health, its free slots.

    `window` is the number of tokens its context window holds, if known.
    """

    ref: ModelRef
    build: Callable[[], Model]
    missing_keys: tuple[str, ...] = ()
    window: int | None = None
    health: Health = field(default_factory=Health)
    gate: AbstractAsyncContextManager[Any] = field(default_factory=nullcontext[None])
    _clients: list[Model] = field(default_factory=list[Model], init=False)
    _in_flight: int = field(default=0, init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)
    _told: set[Failure] = field(default_factory=set[Failure], init=False)

    async def load(self) -> None:
        """Open its first client; an import of a second or two, for which an outage has no time."""
        if not (self._clients or self.missing_keys):
            await self._open()

    @property
    def profile(self) -> ModelProfile:
        """What the model can do, once it is loaded."""
        return self._clients[0].profile

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Model]:
        """A client of it, once a slot is free, which `close` closes.

        Raises TimeoutError where it rests by then.
        """
        async with self.gate:
            if self.health.resting:  # since the call began to wait here
                raise TimeoutError
            self.health.asked()
            at = self._in_flight // PER_CLIENT
            self._in_flight += 1
            try:
                yield self._clients[at] if at < len(self._clients) else await self._open()
            finally:
                self._in_flight -= 1

    async def _open(self) -> Model:
        try:
            model = _observed(self.build())
        except Exception as error:  # whatever an SDK raises, it is no outage
            told = f"{self.ref} cannot be set up ({error}): see `doctor`, run `uv sync`."
            raise SettingsError(told) from error
        self._clients.append(model)
        self._stack.push_async_callback(_hang_up, model)
        return await self._stack.enter_async_context(model)

    async def close(self) -> None:
        self._clients.clear()
        await self._stack.aclose()

    def failed(self, failure: Failure, error: BaseException) -> None:
        """Learn from a failure; a mistake of ours, which the fallback hides, is told once."""
        self.health.failed(failure, error)
        loud = POLICY[failure].loud or not isinstance(error, FAILURES)
        if loud and failure not in self._told:
            self._told.add(failure)
            log.warning("%s: %s (%s); chains go on without it", self.ref, failure, error)


def _observed(model: Model) -> Model:
    """With a span per attempt, without its texts, where the program has set up a tracer."""
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is None:
        return model
    from opentelemetry.trace import get_tracer_provider
    from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

    if not isinstance(get_tracer_provider(), sdk.TracerProvider):
        return model  # somebody only imported it
    return InstrumentedModel(model, InstrumentationSettings(include_content=False))


async def _hang_up(model: Model) -> None:
    # pydantic-ai closes the clients it made itself, not one that a provider was given.
    client: Any = model.provider and model.provider.client
    closing = client.close() if hasattr(client, "close") else None
    if isawaitable(closing):
        await closing


@dataclass
class Call:
    """One request to a chain: who was asked, with what result, at what cost (nano-USD).

    `deadline` and `retry_at` are on the monotonic clock; `cap_nano` is for all attempts together.
    """

    stage: Stage
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    chain: str
    shared: Shared
    deadline: float = math.inf
    cap_nano: float = math.inf
    to_human: bool = False
    retry_at: float = 0
    id: str = field(default_factory=new_id)
    rows: list[Attempt] = field(default_factory=list[Attempt])
    completions: dict[int, ModelResponse] = field(default_factory=dict[int, ModelResponse])
    spent_nano: int = 0
    outgrown: int = 0  # the largest context window that was too small

    def time_left(self) -> float:
        return self.deadline - time.monotonic()

    def obstacle(self, candidate: Candidate) -> Failure | None:
        """Why a model is not asked at all."""
        if candidate.missing_keys:
            return Failure.NO_KEY
        if not self.shared.permits(candidate.ref, self.stage.request.data_class):
            return Failure.DATA_CLASS
        if not self.suits(candidate.profile):
            return Failure.NO_CAPABILITY
        window = candidate.window or math.inf
        if window <= self.outgrown or self._prompt_tokens > window:
            return Failure.CONTEXT_TOO_LONG
        if self.spent_nano + self._least_nano(candidate) >= self.cap_nano:
            return Failure.OVER_BUDGET
        return Failure.TIMEOUT if self.time_left() <= 0 else candidate.health.resting

    def suits(self, profile: ModelProfile) -> bool:
        """Whether a model can do what the request needs: tools, a schema, images."""
        needs, mode = list(self._needs), self.parameters.output_mode
        if mode == "auto" and self.parameters.output_object:
            mode = profile.get("default_structured_output_mode", "tool")
        if mode in ("native", "tool"):
            needs.append("supports_json_schema_output" if mode == "native" else "supports_tools")
        return all(profile.get(need, True) for need in needs)

    async def waited_for(self, candidate: Candidate) -> bool:
        """Wait until a candidate may be asked again; False if that is too late."""
        pause = max(self.retry_at, candidate.health.rest_until) - time.monotonic()
        if pause >= self.time_left():
            return False
        await asyncio.sleep(max(0, pause))
        return True

    async def attempt(
        self, candidate: Candidate, seconds: float, repair: ModelRequest | None = None
    ) -> ModelResponse | str:
        """Ask one model: its completion, or why there is none. Each request leaves one row.

        Where its typed answer does not fit, it is told what is wrong, once.
        """
        started, response, asked = time.perf_counter(), None, False
        messages = [*self.messages, repair] if repair else self.messages
        try:
            async with asyncio.timeout(seconds):
                async with candidate.client() as model:
                    asked = True
                    prepared = model.prepare_messages(messages, self.parameters)
                    response = await model.request(prepared, self.settings, self.parameters)
                candidate.health.succeeded()
                finding = await self.examine(response)
        except BaseException as error:
            failure = self.fail(candidate, error, started, response, asked=asked)
            if response is None or repair or not isinstance(error, ValidationError):
                return failure
            if self.spent_nano >= self.cap_nano:
                return failure
            left = started + seconds - time.perf_counter()
            return await self.attempt(candidate, left, _repair(response, error))
        self.book(candidate.ref, "rejected" if finding.reason else "ok", finding, response, started)
        return finding.reason or response

    def fail(
        self,
        candidate: Candidate,
        error: BaseException,
        started: float,
        response: ModelResponse | None = None,
        *,
        asked: bool,
    ) -> Failure:
        """Book an attempt that ended in an error: its kind. What is no failure passes through."""
        ours = response is not None and not isinstance(error, FAILURES)  # a check's bug
        if ours or not survivable(error):
            self.book(candidate.ref, "aborted", NOTHING, response, started)
            raise error
        if not asked:
            reason = candidate.health.resting or Failure.BUSY
            self.book(candidate.ref, "skipped", Finding(reason))
            return reason
        failure = of_error(error)
        if response is None:
            candidate.failed(failure, error)
        if failure is Failure.CONTEXT_TOO_LONG:
            self.outgrown = max(self.outgrown, candidate.window or 0)
        outcome = "rejected" if response else "failed"
        self.book(candidate.ref, outcome, Finding(failure), response, started)
        return failure

    async def examine(self, response: ModelResponse) -> Finding:
        """The first reason against a completion, or the lowest quality found.

        Raises pydantic's ValidationError where it does not fit its type. What a stage asks for
        is asked of its final answer only, not of a request to use a tool.
        """
        stage = self.stage
        if failure := of_response(response, may_refuse=stage.settings.may_refuse):
            return Finding(failure)
        tools = {tool.name for tool in self.parameters.function_tools}
        if any(call.tool_name in tools for call in response.tool_calls):
            return NOTHING
        stage.agent.parse(response)
        lowest = NOTHING
        for check in stage.checks:
            found = check(response, self)
            finding = await found if isawaitable(found) else found
            if not isinstance(finding, Finding):
                finding = Finding(finding)
            if finding.reason:
                return finding
            if finding.quality is not None and finding.quality <= (lowest.quality or 1):
                lowest = finding
        return lowest

    async def answered_before(self) -> ModelResponse | None:
        """What this very call of the request got before: it is not paid for twice."""
        human = self.shared.human
        return await human.earlier(self) if human and self.stage.request.id else None

    async def handed_over(self) -> ModelResponse | None:
        """A person's answer, if the chain ends in one. Raises Escalated when it comes later."""
        human = self.shared.human if self.to_human and self.stage.human else None
        try:
            return await human.answer(self) if human else None
        except Escalated:
            self.book(PERSON, "escalated")
            raise
        except Unanswered as error:
            log.warning("No person answers: %s", error)
            self.book(PERSON, "failed", Finding(error.reason))
            return None

    def settle(self, end: ModelResponse | list[tuple[str, str]]) -> None:
        """Tell the run how it ended: in a completion, or with the models that failed and why."""
        if self.stage.request.id:
            self.stage.run.settled.append((self, end))

    @property
    def question(self) -> str:
        """The text that was asked last."""
        asked = [p.content for m in self.messages for p in m.parts if p.part_kind == "user-prompt"]
        last = asked[-1] if asked else ""
        return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))

    def keyless(self) -> bool:
        """Whether nobody could be asked because no key is set: a mistake, not an outage."""
        return all(row.error_type == Failure.NO_KEY for row in self.rows)

    def book(
        self,
        ref: ModelRef,
        outcome: str,
        finding: Finding = NOTHING,
        response: ModelResponse | None = None,
        started: float | None = None,
        ttft_ms: int | None = None,
    ) -> None:
        """Add an attempt's row, with what it used and cost."""
        usage, seconds = reported(response), time.perf_counter() - started if started else 0
        details = (response.provider_details if response else None) or {}
        cost = self.shared.prices.cost(ref, usage, context=details, seconds=seconds)
        before = self.rows[-1].request_model if self.rows else None
        row = Attempt(
            ts_us=time.time_ns() // 1000,
            latency_ms=round(seconds * 1000),
            ttft_ms=ttft_ms,
            call_id=self.id,
            provider=ref.provider,
            deployment=ref.deployment,
            request_model=ref.model,
            chain=self.chain,
            attempt=len(self.rows) + 1,
            fallback_from=before if before != ref.model else None,
            outcome=outcome,
            error_type=finding.reason,
            quality=finding.quality,
            quality_source=finding.source,
            cost_nano_usd=cost.nano_usd,
            cost_source=cost.source,
            price_version=cost.version,
            **(_told(response) if response else {}),
            **self.stage.labels,
        )
        self._keep(row, response)

    def _keep(self, row: Attempt, response: ModelResponse | None) -> None:
        self.rows.append(row)
        self.stage.run.attempts.append(row)
        self.spent_nano += row.cost_nano_usd or 0
        if response:
            self.completions[row.attempt] = response
        if response and row.outcome == "ok":
            self.settle(response)

    @cached_property
    def _needs(self) -> list[str]:
        """The keys of a model's profile that this request depends on."""
        needs = ["supports_tools"] if self.parameters.function_tools else []
        if any(_is_image(item) for item in _contents(self.messages)):
            needs.append("supports_image_input")
        return needs

    @cached_property
    def _prompt_tokens(self) -> int:
        texts = (item for item in _contents(self.messages) if isinstance(item, str))
        return sum(map(len, texts)) // CHARS_PER_TOKEN

    def _least_nano(self, candidate: Candidate) -> int:
        """What the prompt alone will cost; 0 where nothing is capped or no price is known."""
        if self.cap_nano == math.inf:
            return 0
        usage = RequestUsage(input_tokens=self._prompt_tokens)
        return self.shared.prices.cost(candidate.ref, usage).nano_usd or 0


def reported(response: ModelResponse | None) -> RequestUsage | None:
    """The usage of a completion, None where its provider reported none."""
    if response is None or response.state != "complete" or response.usage.unmeasured_requests:
        return None
    counted = response.usage.input_tokens or response.usage.output_tokens
    return response.usage if counted else None


def _told(response: ModelResponse) -> dict[str, Any]:
    """The columns that a completion fills."""
    columns: dict[str, Any] = {
        "response_model": response.model_name,
        "provider_request_id": response.provider_response_id,
        "service_tier": (response.provider_details or {}).get("service_tier"),
    }
    if usage := reported(response):
        others, reasoning = other_units(usage), usage.output_reasoning_tokens
        columns |= {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "reasoning_output_tokens": reasoning or usage.details.get("reasoning_tokens"),
            "other_units": json.dumps(others, sort_keys=True) if others else None,
        }
    return columns


def _contents(messages: Sequence[ModelMessage]) -> Iterator[object]:
    """Every text and file of a conversation, the tool calls of its models left out."""
    for message in messages:
        if isinstance(message, ModelRequest):
            yield message.instructions or ""
        for part in message.parts:
            content = getattr(part, "content", None)
            yield from content if isinstance(content, list | tuple) else (content,)


def _is_image(item: object) -> bool:
    return isinstance(item, ImageUrl) or getattr(item, "is_image", False)


def _repair(response: ModelResponse, misfit: ValidationError) -> ModelRequest:
    """What a model is told of its typed answer that does not fit."""
    calls = [call.args_as_json_str() for call in response.tool_calls]
    wrong = misfit.json(include_url=False, include_context=False, include_input=False)
    return ModelRequest.user_text_prompt(
        f"You answered: {calls[0] if calls else response.text}\n"
        f"That does not fit the schema: {wrong}\nAnswer again, with all of it right."
    )
