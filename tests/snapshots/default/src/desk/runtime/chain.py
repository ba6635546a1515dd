"""Ask a chain of models, which is itself a model: the first acceptable answer wins.

A chain is a pydantic-ai `Model`, so `direct`, an `Agent` or a framework can use it as one.
The chain alone writes the ledger: a row per attempt, failures and skips included.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings

from .call import Answer, Ask, Call
from .candidates import Candidate
from .errors import BudgetReached
from .failure_kinds import FILTERED, Failure, Policy
from .fleet import ChainSettings
from .run import Stage, current
from .shared import Shared
from .stalls import TimeLimits
from .text import sanitize

OVER = Failure.OVER_BUDGET
PAUSES = (0.5, 1, 2)
"""Seconds before each probe of an open circuit, jittered: an outage of a second passes."""


class Chain(Model):
    """Asks its candidates in order, within one deadline and one spending cap for the call.

    `cheap` are asked instead when a budget is used up and says "cheap_only".
    """

    def __init__(
        self,
        name: str,
        *,
        rules: ChainSettings,
        candidates: Sequence[Candidate],
        shared: Shared,
        cheap: Sequence[Candidate] = (),
    ) -> None:
        super().__init__()
        self.name = name
        self.rules = rules
        self.candidates = candidates
        self.shared = shared
        self.cheap = cheap

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

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the first acceptable completion, once its attempts are in the ledger.

        Raises ChainExhausted, MissingKey, BudgetReached or Escalated.
        """
        async with self.call(messages, model_settings, model_request_parameters) as call:
            return await self.answer(call, call.attempt)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Yield the answer as it arrives; in one piece where the workspace has no streaming."""
        async with self.call(messages, model_settings, model_request_parameters) as call:
            if self.shared.stream:
                async with self.shared.stream(self, call) as stream:
                    yield stream
            else:
                yield CompletedStreamedResponse(
                    await self.answer(call, call.attempt),
                    model_request_parameters=model_request_parameters,
                    replay_events=True,
                )

    @asynccontextmanager
    async def call(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> AsyncGenerator[Call]:
        """Begin a call with its limits; whatever ends it, its rows are in the ledger afterwards."""
        stage, rules, shared = current.get() or Stage(), self.rules, self.shared
        caps = [usd for usd in (rules.max_cost_usd, shared.spending.budgets.call_usd) if usd]
        call = Call(
            chain=self.name,
            stage=stage,
            messages=sanitize(messages),
            settings=settings,
            parameters=sanitize(parameters),
            cap_usd=min(caps, default=None),
            shared=shared,
            time=TimeLimits(attempt_s=rules.attempt_s),
            to_human=rules.on_exhausted == "human",
        )
        shared.ledger.expect_open()
        shared.expect_loop()
        await shared.ledger.ready()
        shared.under_way[call.id] = asyncio.current_task()
        try:
            for candidate in self.candidates:
                await candidate.load()
            until = (stage.parent or stage.run).deadline
            call.time.deadline = min(time.monotonic() + rules.deadline_s, until)
            yield call
        finally:
            call.budget.release()
            del shared.under_way[call.id]
            await call.record.flush()

    async def answer(
        self, call: Call, ask: Ask[Answer], among: Sequence[Candidate] | None = None
    ) -> Answer | ModelResponse:
        """Ask in order, again where a retry may help, then a person: the first answer wins."""
        if earlier := await call.earlier_answer():
            return earlier
        if among is None:
            is_over = await call.budget.find_reached()
            among = await self._find_models_at_limit(call) if is_over else self.candidates
        waiting, again = list(among), list[Candidate]()
        for retries in (False, True):
            while waiting:
                candidate = waiting.pop(0)
                if retries and not await call.wait_until_available(candidate):
                    continue
                models = 1 + sum(not call.skip_reason(other) for other in waiting)
                result = await call.ask(candidate, models, ask)
                if not isinstance(result, str):
                    return result
                if self._stops(call, result):
                    return await call.give_up(self.candidates)
                policy = result.policy if isinstance(result, Failure) else Policy()
                if policy.retry and not retries:
                    again.append(candidate)
                if policy.provider_last:
                    provider = candidate.ref.provider
                    waiting.sort(key=lambda other: other.ref.provider == provider)
            waiting = sorted(again, key=lambda candidate: candidate.available_at)
            call.retry_at = time.monotonic() + self.rules.backoff_s * random.uniform(0.5, 1)
        is_over = call.budget.used_up and not call.budget.past_budgets  # by calls made meanwhile
        if is_over and (left := await self._find_models_at_limit(call)):
            return await self.answer(call, ask, left)
        async for candidate, models in self._probe(call, among):
            result = await call.ask(candidate, models, ask)
            if not isinstance(result, str):
                return result
            if result is OVER or self._stops(call, result):
                break
        return await call.give_up(self.candidates)

    def _stops(self, call: Call, reason: str) -> bool:
        """Return whether the chain ends here: an answer was filtered, and it says not to go on."""
        stops = reason in FILTERED and self.rules.on_content_filter != "next"
        if stops:
            call.to_human = self.rules.on_content_filter == "human"
        return stops

    async def _find_models_at_limit(self, call: Call) -> Sequence[Candidate]:
        """Return the models to ask although a budget is used up: the cheap ones, or none.

        Raises BudgetReached where nothing else kept the chain from an answer.
        """
        at_limit = self.shared.spending.budgets.at_limit
        call.budget.past_budgets = at_limit == "cheap_only"
        call.to_human = at_limit == "human"
        left = self.cheap if at_limit == "cheap_only" else ()
        for candidate in left:
            await candidate.load()
        for candidate in () if call.rows else self.candidates:
            if candidate not in left:
                call.skip(candidate, OVER)
        if not left and not call.to_human and all(row.error_type == OVER for row in call.rows):
            problem = f"The budget {call.budget.used_up} is used up"
            raise BudgetReached(problem, "raise it, or change at_limit")
        return left

    async def _probe(
        self, call: Call, candidates: Sequence[Candidate]
    ) -> AsyncIterator[tuple[Candidate, int]]:
        """Yield a model to ask in spite of its open circuit, and among how many.

        An outage of a second must not refuse calls that have more time. The circuit that opened
        first is tried first. One request goes out as a probe, the others wait for what comes of
        it. What does not pass by itself within seconds, a wrong key or spent credit, is left alone.
        """
        # Whoever was asked already has just failed: no probe at once.
        was_asked = any(row.outcome != "skipped" for row in call.rows)
        opened = [one for one in candidates if call.skip_reason(one) is Failure.CIRCUIT_OPEN]
        opened = [one for one in opened if one.opened_at < math.inf]
        for pause in PAUSES if was_asked else (0, *PAUSES):
            seconds = pause * random.uniform(0.75, 1)
            if not opened or seconds >= call.time.left():
                return
            await asyncio.sleep(seconds)
            candidate = min(opened, key=lambda one: (one.unavailable is not None, one.opened_at))
            await candidate.join_probe(call.time.left())
            if not call.skip_reason(candidate):
                yield candidate, len(opened)
            if not candidate.unavailable:  # it answered, if not well
                opened.remove(candidate)
