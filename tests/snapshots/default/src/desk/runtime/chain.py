"""A chain of models that is itself a model: the first acceptable answer wins.

It is a pydantic-ai `Model`, so `direct`, an `Agent` or a framework can use it as one.
The chain alone writes the ledger: a row per attempt, failures and skips included.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import ValidationError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .errors import ChainExhausted, MissingKey
from .failures import FAILURES, POLICY, Failure, of_error, of_response
from .fleet import ModelRef
from .ledger.prices import Prices
from .ledger.store import Attempt, Ledger, new_id
from .run import OUTPUT_TOOL, Stage, current

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One model of a chain. It is built when first asked: an SDK takes a second to import."""

    ref: ModelRef
    build: Callable[[], Model]
    missing_keys: tuple[str, ...] = ()

    @cached_property
    def model(self) -> Model:
        return self.build()


class Chain(Model):
    """Asks its candidates in order within one deadline (seconds for the whole call)."""

    def __init__(
        self,
        name: str,
        candidates: Sequence[Candidate],
        *,
        ledger: Ledger,
        prices: Prices,
        deadline_s: float,
    ) -> None:
        super().__init__()
        self.name = name
        self.candidates = tuple(candidates)
        self.ledger = ledger
        self.prices = prices
        self.deadline_s = deadline_s
        self._open = AsyncExitStack()
        self._entered: set[Candidate] = set()

    @property
    def model_name(self) -> str:
        return f"chain:{self.name}"

    @property
    def system(self) -> str:
        return "chain"

    @cached_property
    def profile(self) -> ModelProfile:
        # How pydantic-ai recognises a model that hands requests on to others.
        raise NotImplementedError("a chain has no profile: each of its models has its own")

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        return model_settings, model_request_parameters

    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,
    ) -> list[ModelMessage]:
        return messages

    async def __aexit__(self, *_: object) -> None:
        """Close the clients of every model that was asked."""
        await self._open.aclose()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The first acceptable completion. Raises ChainExhausted, or MissingKey."""
        call = Call(self, current.get() or Stage(), model_settings, model_request_parameters)
        try:
            return await call.answer(messages)
        finally:
            await asyncio.shield(self.ledger.write(call.rows))

    async def enter(self, candidate: Candidate) -> Model:
        """The candidate's model, its client open until the chain is closed."""
        if candidate not in self._entered:
            self._entered.add(candidate)
            await self._open.enter_async_context(candidate.model)
        return candidate.model


@dataclass
class Call:
    """One request to a chain: who was asked, with what result, at what cost."""

    chain: Chain
    stage: Stage
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    id: str = field(default_factory=new_id)
    rows: list[Attempt] = field(default_factory=list[Attempt])

    async def answer(self, messages: list[ModelMessage]) -> ModelResponse:
        deadline = time.monotonic() + self.chain.deadline_s
        waiting = deque(self.chain.candidates)
        while waiting:
            candidate = waiting.popleft()
            if candidate.missing_keys:
                self.note(candidate, "skipped", Failure.NO_KEY)
                continue
            seconds = max(0.001, deadline - time.monotonic()) / (1 + len(waiting))
            result = await self.attempt(candidate, messages, seconds)
            if isinstance(result, ModelResponse):
                return result
            if POLICY[result].same_provider == "last":
                waiting = deque(
                    sorted(waiting, key=lambda c: c.ref.provider == candidate.ref.provider)
                )
        raise self.exhausted()

    async def attempt(
        self, candidate: Candidate, messages: list[ModelMessage], seconds: float
    ) -> ModelResponse | Failure:
        """Ask one model; where its typed answer does not fit, tell it what is wrong, once."""
        deadline = time.monotonic() + seconds
        result = await self.ask(candidate, messages, deadline)
        if isinstance(result, tuple):
            response, error = result
            result = await self.ask(
                candidate, [*messages, response, _repair(response, error)], deadline
            )
        return Failure.MALFORMED if isinstance(result, tuple) else result

    async def ask(
        self, candidate: Candidate, messages: list[ModelMessage], deadline: float
    ) -> ModelResponse | Failure | tuple[ModelResponse, ValidationError]:
        """One request, one row: a completion, a failure, or one that does not fit its type."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                model = await self.chain.enter(candidate)
                prepared = model.prepare_messages(messages, self.parameters)
                response = await model.request(prepared, self.settings, self.parameters)
        except FAILURES as error:
            failure = of_error(error)
            self.note(candidate, "failed", failure, started=started)
            if POLICY[failure].loud:
                log.warning(
                    "%s: %s (%s); the chain goes on without it", candidate.ref, failure, error
                )
            return failure
        except BaseException:
            self.note(candidate, "aborted", started=started)
            raise
        return self.judge(candidate, response, started)

    def judge(
        self, candidate: Candidate, response: ModelResponse, started: float
    ) -> ModelResponse | Failure | tuple[ModelResponse, ValidationError]:
        """Accept a completion, or reject it: a rejected one is billed and booked all the same."""
        if failure := of_response(response):
            self.note(candidate, "rejected", failure, response, started)
            return failure
        try:
            if self.stage.parse and not self.parameters.function_tools:
                self.stage.parse(response)
        except ValidationError as error:
            self.note(candidate, "rejected", Failure.MALFORMED, response, started)
            return response, error
        self.note(candidate, "ok", None, response, started)
        return response

    def exhausted(self) -> ChainExhausted | MissingKey:
        failures = [(row.request_model, row.error_type or row.outcome) for row in self.rows]
        if all(row.outcome == "skipped" for row in self.rows):
            keys = dict.fromkeys(key for c in self.chain.candidates for key in c.missing_keys)
            return MissingKey(
                f"Set {' or '.join(keys)} to ask a model of chain '{self.chain.name}'."
            )
        return ChainExhausted(self.chain.name, failures)

    def note(
        self,
        candidate: Candidate,
        outcome: str,
        failure: Failure | None = None,
        response: ModelResponse | None = None,
        started: float | None = None,
    ) -> None:
        """Book an attempt, with what it used and cost."""
        stage, ref = self.stage, candidate.ref
        usage = _reported(response)
        cost = self.chain.prices.cost(ref, usage)
        row = Attempt(
            ts_us=time.time_ns() // 1000,
            latency_ms=round((time.perf_counter() - started) * 1000) if started else 0,
            call_id=self.id,
            run_id=stage.run_id,
            provider=ref.provider,
            deployment=ref.deployment,
            request_model=ref.model,
            response_model=response.model_name if response else None,
            provider_request_id=response.provider_response_id if response else None,
            agent=stage.agent,
            task_type=stage.task_type,
            pipeline=stage.pipeline,
            stage=stage.name,
            chain=self.chain.name,
            attempt=len(self.rows) + 1,
            fallback_from=self.rows[-1].request_model if self.rows else None,
            outcome=outcome,
            error_type=failure,
            input_tokens=usage and usage.input_tokens,
            output_tokens=usage and usage.output_tokens,
            cache_read_input_tokens=usage and usage.cache_read_tokens,
            cache_creation_input_tokens=usage and usage.cache_write_tokens,
            reasoning_output_tokens=usage and usage.details.get("reasoning_tokens"),
            cost_nano_usd=cost.nano_usd,
            cost_source=cost.source,
            price_version=cost.version,
            prompt_version=stage.prompt_version,
            config_version=stage.config_version,
            environment=stage.environment,
            user_ref=stage.request.user_ref,
            tags=_json(stage.request.tags),
        )
        self.rows.append(row)
        stage.booked.append(row)


def _reported(response: ModelResponse | None) -> RequestUsage | None:
    if response is None or not (response.usage.input_tokens or response.usage.output_tokens):
        return None
    return response.usage


def _repair(response: ModelResponse, error: ValidationError) -> ModelRequest:
    wrong = error.errors(include_url=False, include_context=False)
    call = next((call for call in response.tool_calls if call.tool_name == OUTPUT_TOOL), None)
    if call is None:
        feedback = RetryFeedbackPart(content=wrong, retry=RetryInfo(cause="validation_error"))
        return ModelRequest(parts=[feedback])
    told = ToolReturnPart(OUTPUT_TOOL, wrong, tool_call_id=call.tool_call_id, outcome="retried")
    return ModelRequest(parts=[told])


def _json(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, sort_keys=True)
