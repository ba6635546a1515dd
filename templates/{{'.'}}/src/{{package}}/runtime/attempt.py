"""One attempt: may this model be asked, what came of it, and the row it leaves in the ledger.

A `Candidate` is a model as the workspace knows it, shared by every chain that names it; a `Call`
is one request to a chain, and asks one candidate after the other.
"""

import asyncio
import json
import logging
import math
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .errors import Escalated, Unanswered
from .failures import FAILURES, POLICY, Failure, Health, of_error, of_response, survivable
from .fleet import Circuits, Fleet, ModelRef
from .ledger.prices import UNKNOWN, Prices, Spending, other_units
from .ledger.store import Attempt, Ledger, LedgerSettings, Location, Statement, new_id
from .run import OUTPUT_TOOL, Run, Stage

if TYPE_CHECKING:
    from .chain import Chain

log = logging.getLogger(__name__)

CHARS_PER_TOKEN = 5  # a prompt that is too long by this careful measure is too long


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


class Check(Protocol):
    """A test of a completion: None or a reason to reject it, at once or after asking a model."""

    def __call__(
        self, completion: ModelResponse, call: "Call", /
    ) -> str | Finding | Awaitable[str | Finding | None] | None: ...


class Human(Protocol):
    """The last model of a chain."""

    async def earlier(self, call: "Call") -> ModelResponse | None:
        """What a request that was handed over before got for this very call, if it is known.

        Raises Escalated while a person has to answer it, ChainExhausted where no model had.
        """
        ...

    async def answer(self, call: "Call") -> ModelResponse:
        """A person's answer; who gives it books it.

        Raises Escalated when nobody waits for it, Unanswered when none will come.
        """
        ...

    def keep(self, run: Run, ticket: str) -> None:
        """Keep what a run that ended in a ticket got elsewhere, for when its request comes again."""
        ...

    async def aclose(self) -> None: ...


MakeCheck = Callable[[str], Check]
"""A check from its argument, the text after `:` in fleet.toml; ValueError says what is wrong."""
MakeHuman = Callable[[Path, Fleet], Human]
OpenStream = Callable[["Chain", "Call"], AbstractAsyncContextManager[StreamedResponse]]
Texts = Callable[["Call"], Sequence[Statement]]
"""What stores a call's prompts and answers, in the transaction of its rows."""
OpenTexts = Callable[[Location, LedgerSettings], Texts | None]
PERSON = ModelRef("human", "human")


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


class Candidate:
    """One model, shared by the chains that name it: its client, its health, its free slots."""

    def __init__(
        self,
        ref: ModelRef,
        build: Callable[[], Model],
        *,
        missing_keys: tuple[str, ...] = (),
        window: Callable[[], int | None] = lambda: None,
        circuits: Circuits | None = None,
        gate: AbstractAsyncContextManager[Any] | None = None,
    ) -> None:
        self.ref = ref
        self.missing_keys = missing_keys
        self.gate: AbstractAsyncContextManager[Any] = gate or nullcontext()
        self.health = Health(circuits or Circuits())
        self._build = build
        self._window = window
        self._told: set[Failure] = set()
        self._entered = False
        self._model: Model | None = None
        self._loading = threading.Lock()

    def load(self) -> float:
        """Build it: an SDK takes a second or two to import, for which no provider is to blame.

        Returns the seconds it took, 0 where it is built already. Threads may call it.
        """
        if self._model:
            return 0
        started = time.monotonic()
        with self._loading:
            self._model = self._model or _observed(self._build())
        return time.monotonic() - started

    @property
    def model(self) -> Model:
        self.load()
        assert self._model is not None
        return self._model

    @cached_property
    def window(self) -> int | None:
        """Tokens its context window holds, if known."""
        return self._window()

    async def enter(self) -> Model:
        """Its model, with a client that stays open until `close`."""
        self.health.asked()
        if not self._entered:
            self._entered = True
            await self.model.__aenter__()
        return self.model

    async def close(self) -> None:
        if self._entered:
            self._entered = False
            await self.model.__aexit__(None, None, None)
            client: Any = self.model.provider and self.model.provider.client
            closing = client.close() if hasattr(client, "close") else None
            if isawaitable(closing):
                await closing

    def failed(self, failure: Failure, error: BaseException) -> None:
        """Learn from a failure; a mistake of ours, which the fallback hides, is told once."""
        self.health.failed(failure, error)
        loud = POLICY[failure].loud or not isinstance(error, FAILURES)
        if loud and failure not in self._told:
            self._told.add(failure)
            log.warning("%s: %s (%s); chains go on without it", self.ref, failure, error)


def warm(candidates: Sequence[Candidate]) -> None:
    """Load, in the background, whom a first failure would have to wait for."""
    rest = [candidate for candidate in candidates if not candidate.missing_keys]
    thread = threading.Thread(target=lambda: [candidate.load() for candidate in rest], daemon=True)
    thread.start()


def _observed(model: Model) -> Model:
    """With a span per attempt, without its texts, where the program has set up a tracer."""
    if "opentelemetry.sdk" not in sys.modules:
        return model
    from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

    return InstrumentedModel(model, InstrumentationSettings(include_content=False))


@dataclass
class Misfit:
    """A completion that does not fit the type of its answer, and why."""

    response: ModelResponse
    error: ValidationError


@dataclass
class Call:
    """One request to a chain: who was asked, with what result, at what cost (nano-USD).

    `deadline` and `retry_at` are on the monotonic clock; `cap_nano` is for all attempts together.
    """

    stage: Stage = field(default_factory=Stage)
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    settings: ModelSettings | None = None
    parameters: ModelRequestParameters = field(default_factory=ModelRequestParameters)
    chain: str = "direct"
    prices: Prices | None = None
    permits: Callable[[ModelRef, str | None], bool] | None = None
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
        if self.permits and not self.permits(candidate.ref, self.stage.request.data_class):
            return Failure.DATA_CLASS
        window = candidate.window or math.inf
        if window <= self.outgrown or self._prompt_tokens > window:
            return Failure.CONTEXT_TOO_LONG
        if self.spent_nano + self._least_nano(candidate) >= self.cap_nano:
            return Failure.OVER_BUDGET
        return Failure.TIMEOUT if self.time_left() <= 0 else candidate.health.resting

    async def waited_for(self, candidate: Candidate) -> bool:
        """Wait until a candidate may be asked again; False if that is too late."""
        pause = max(self.retry_at, candidate.health.rest_until) - time.monotonic()
        if pause >= self.time_left():
            return False
        await asyncio.sleep(max(0, pause))
        return True

    async def attempt(self, candidate: Candidate, seconds: float) -> ModelResponse | str:
        """Ask one model: its completion, or why there is none.

        Where its typed answer does not fit, it is told what is wrong, once.
        """
        until = time.monotonic() + seconds
        result = await self._ask(candidate, self.messages, until)
        if isinstance(result, Misfit) and self.spent_nano < self.cap_nano:
            messages = [*self.messages, result.response, _repair(result)]
            result = await self._ask(candidate, messages, until)
        if isinstance(result, Misfit):
            return Failure.MALFORMED
        if result is Failure.CONTEXT_TOO_LONG:
            self.outgrown = max(self.outgrown, candidate.window or 0)
        return result

    async def _ask(
        self, candidate: Candidate, messages: list[ModelMessage], until: float
    ) -> ModelResponse | Misfit | str:
        """One request, one row."""
        started, response, asked = time.perf_counter(), None, False
        try:
            async with asyncio.timeout(until - time.monotonic()):
                async with candidate.gate:
                    if resting := candidate.health.resting:  # since it was this call's turn
                        self.book(candidate.ref, "skipped", resting)
                        return resting
                    asked = True
                    model = await candidate.enter()
                    if not self.suits(model):
                        self.book(candidate.ref, "skipped", Failure.NO_CAPABILITY)
                        return Failure.NO_CAPABILITY
                    prepared = model.prepare_messages(messages, self.parameters)
                    response = await model.request(prepared, self.settings, self.parameters)
                candidate.health.succeeded()
                return await self.judge(candidate, response, started)
        except BaseException as error:
            return self.fail(candidate, error, started, response, asked=asked)

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
            self.book(candidate.ref, "aborted", None, response, started)
            raise error
        if not asked:
            self.book(candidate.ref, "skipped", Failure.BUSY)
            return Failure.BUSY
        failure = of_error(error)
        if response is None:
            candidate.failed(failure, error)
        outcome = "rejected" if response else "failed"
        self.book(candidate.ref, outcome, failure, response, started)
        return failure

    def suits(self, model: Model) -> bool:
        """Whether a model can do what the request needs: tools, a schema, images."""
        needs, mode = list(self._needs), self.parameters.output_mode
        if mode == "auto" and self.parameters.output_object:
            mode = model.profile.get("default_structured_output_mode", "tool")
        if mode in ("native", "tool"):
            needs.append("supports_json_schema_output" if mode == "native" else "supports_tools")
        return all(model.profile.get(need, True) for need in needs)

    async def judge(
        self, candidate: Candidate, response: ModelResponse, started: float
    ) -> ModelResponse | Misfit | str:
        """Accept a completion, or reject it: a rejected one is billed and booked all the same."""
        try:
            finding = await self.examine(response)
        except ValidationError as error:
            self.book(candidate.ref, "rejected", Failure.MALFORMED, response, started)
            return Misfit(response, error)
        outcome = "rejected" if finding.reason else "ok"
        self.book(candidate.ref, outcome, finding.reason, response, started, finding)
        return finding.reason or response

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

    async def answered_before(self, human: Human) -> ModelResponse | None:
        """What this very call of the request got before: it is not paid for twice."""
        return await human.earlier(self) if self.stage.request.id else None

    async def hand_over(self, human: Human) -> ModelResponse | None:
        """A person's answer, if the chain ends in one. Raises Escalated when it comes later."""
        if self.to_human and self.stage.human and not self.keyless():
            try:
                return await human.answer(self)
            except Escalated:
                self.book(PERSON, "escalated")
                raise
            except Unanswered as error:
                log.warning("No person answers: %s", error)
                self.book(PERSON, "failed", error.reason)
        self.settle([(row.request_model, row.error_type or row.outcome) for row in self.rows])
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
        reason: str | None = None,
        response: ModelResponse | None = None,
        started: float | None = None,
        finding: Finding = NOTHING,
        ttft_ms: int | None = None,
    ) -> None:
        """Add an attempt's row, with what it used and cost."""
        usage, seconds = reported(response), time.perf_counter() - started if started else 0
        details = (response.provider_details if response else None) or {}
        cost = UNKNOWN
        if self.prices:
            cost = self.prices.cost(ref, usage, context=details, seconds=seconds)
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
            error_type=reason,
            quality=finding.quality,
            quality_source=finding.source,
            cost_nano_usd=cost.nano_usd,
            cost_source=cost.source,
            price_version=cost.version,
            **_told(response),
            **_counted(usage),
            **self.stage.labels,
        )
        self.rows.append(row)
        if response:
            self.completions[row.attempt] = response
        self.stage.run.attempts.append(row)
        if outcome == "ok" and response:
            self.settle(response)
        self.spent_nano += cost.nano_usd or 0

    @cached_property
    def _needs(self) -> tuple[str, ...]:
        """The keys of a model's profile that this request depends on."""
        needs = ["supports_tools"] if self.parameters.function_tools else []
        if any(_is_image(item) for item in _contents(self.messages)):
            needs.append("supports_image_input")
        return tuple(needs)

    @cached_property
    def _prompt_tokens(self) -> int:
        texts = (item for item in _contents(self.messages) if isinstance(item, str))
        return sum(map(len, texts)) // CHARS_PER_TOKEN

    def _least_nano(self, candidate: Candidate) -> int:
        """What the prompt alone will cost; 0 where nothing is capped or no price is known."""
        if self.prices is None or self.cap_nano == math.inf:
            return 0
        usage = RequestUsage(input_tokens=self._prompt_tokens)
        return self.prices.cost(candidate.ref, usage).nano_usd or 0


def reported(response: ModelResponse | None) -> RequestUsage | None:
    """The usage of a completion, None where its provider reported none."""
    if response is None or response.state != "complete" or response.usage.unmeasured_requests:
        return None
    if not (response.usage.input_tokens or response.usage.output_tokens):
        return None
    return response.usage


def _told(response: ModelResponse | None) -> dict[str, Any]:
    if response is None:
        return {}
    return {
        "response_model": response.model_name,
        "provider_request_id": response.provider_response_id,
        "service_tier": (response.provider_details or {}).get("service_tier"),
    }


def _counted(usage: RequestUsage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    others = other_units(usage)
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "reasoning_output_tokens": usage.output_reasoning_tokens
        or usage.details.get("reasoning_tokens"),
        "other_units": json.dumps(others, sort_keys=True) if others else None,
    }


def _contents(messages: Sequence[ModelMessage]) -> Iterator[object]:
    """Every text and file of a conversation, the tool calls of its models left out."""
    for message in messages:
        if isinstance(message, ModelRequest):
            yield message.instructions or ""
        for part in message.parts:
            content = getattr(part, "content", None)
            yield from content if isinstance(content, list | tuple) else (content,)


def _is_image(item: object) -> bool:
    return isinstance(item, ImageUrl) or (isinstance(item, BinaryContent) and item.is_image)


def _repair(misfit: Misfit) -> ModelRequest:
    wrong = misfit.error.errors(include_url=False, include_context=False)
    calls = misfit.response.tool_calls
    call = next((call for call in calls if call.tool_name == OUTPUT_TOOL), None)
    if call is None:
        feedback = RetryFeedbackPart(content=wrong, retry=RetryInfo(cause="validation_error"))
        return ModelRequest(parts=[feedback])
    told = ToolReturnPart(OUTPUT_TOOL, wrong, tool_call_id=call.tool_call_id, outcome="retried")
    return ModelRequest(parts=[told])
