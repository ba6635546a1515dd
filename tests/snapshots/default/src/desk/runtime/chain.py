"""A chain of models that is itself a model: the first acceptable answer wins.

It is a pydantic-ai `Model`, so `direct`, an `Agent` or a framework can use it as one.
The chain alone writes the ledger: a row per attempt, failures and skips included.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar

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

from .attempt import Call, Finding, Shared
from .encodable import sanitize
from .errors import BudgetReached
from .failures import FILTERED, Candidate, Failure, Policy
from .fleet import ChainSettings
from .run import Stage, current

OVER = Failure.OVER_BUDGET
PAUSES = (0.5, 1, 2)
"""Seconds before each probe of an open circuit, jittered: an outage of a second passes."""

Answer = TypeVar("Answer")
Asks = Callable[[Candidate, int], Awaitable[Answer | str]]
"""Asks the first of so many models that are left: its answer, or why there is none."""


class Chain(Model):
    """Asks its candidates in order, within one deadline and one spending cap for the call.

    `cheap` are asked instead when a budget is used up and says "cheap_only".
    """

    def __init__(
        self,
        name: str,
        settings: ChainSettings,
        candidates: Sequence[Candidate],
        shared: Shared,
        cheap: Sequence[Candidate] = (),
    ) -> None:
        super().__init__()
        self.name = name
        self.rules = settings
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
        """The first acceptable completion; its attempts are in the ledger before it returns.

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
        """As `request`, as it arrives; in one piece where the workspace has no streaming."""
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
        """A call with its limits; whatever ends it, its rows are in the ledger afterwards."""
        stage, rules, shared = current.get() or Stage(), self.rules, self.shared
        messages, parameters = sanitize(messages), sanitize(parameters)
        call = Call(stage, messages, settings, parameters, self.name, shared, rules.attempt_s)
        call.cap_nano = min(shared.spending.call_nano(rules.max_cost_usd), stage.left_nano())
        call.to_human = rules.on_exhausted == "human"
        shared.ledger.expect_open()
        shared.expect_loop()
        await shared.ledger.ready()
        shared.under_way[call.id] = asyncio.current_task()
        try:
            for candidate in self.candidates:
                await candidate.load()
            until = (stage.parent or stage.run).deadline
            call.deadline = min(time.monotonic() + rules.deadline_s, until)
            yield call
        finally:
            call.release()
            del shared.under_way[call.id]
            await call.flush()

    async def answer(
        self, call: Call, ask: Asks[Answer], among: Sequence[Candidate] | None = None
    ) -> Answer | ModelResponse:
        """Ask in order, then once more whom a retry may help, then the human: first answer wins."""
        if earlier := await call.answered_before():
            return earlier
        everyone = list(await self._affordable(call) if among is None else among)
        waiting = list(everyone)
        for retries in (False, True):
            again = list[Candidate]()
            while waiting:
                candidate = waiting.pop(0)
                if retries and not await call.waited_for(candidate):
                    continue
                models = 1 + sum(not call.obstacle(other) for other in waiting)
                if result := call.obstacle(candidate) or await call.reserve(candidate, models):
                    call.book(candidate.ref, "skipped", Finding(result))
                else:
                    result = await ask(candidate, models)
                if not isinstance(result, str):
                    return result
                if call.rows[-1].outcome != "skipped":
                    await call.flush()
                if self._stops(call, result):
                    return await call.give_up(self.candidates)
                policy = result.policy if isinstance(result, Failure) else Policy()
                if policy.retry:
                    again.append(candidate)
                if policy.provider_last:
                    provider = candidate.ref.provider
                    waiting.sort(key=lambda other: other.ref.provider == provider)
            waiting = sorted(again, key=lambda candidate: candidate.rest_until)
            call.retry_at = time.monotonic() + self.rules.backoff_s * random.uniform(0.5, 1)
        if call.used_up and not call.past_budgets:  # by calls that were made meanwhile
            if left := await self._at_limit(call):
                return await self.answer(call, ask, left)
            if not call.to_human and all(row.error_type == OVER for row in call.rows):
                raise _reached(call.used_up.name)
        async for candidate, models in self._half_open(call, everyone):
            if over := await call.reserve(candidate, models):
                call.book(candidate.ref, "skipped", Finding(over))
                break
            result = await ask(candidate, models)
            if not isinstance(result, str):
                return result
            await call.flush()
            if self._stops(call, result):
                break
        return await call.give_up(self.candidates)

    def _stops(self, call: Call, result: str) -> bool:
        """Whether a chain ends with this answer: one was filtered, and it says not to go on."""
        stops = result in FILTERED and self.rules.on_content_filter != "next"
        if stops:
            call.to_human = self.rules.on_content_filter == "human"
        return stops

    async def _half_open(
        self, call: Call, among: Sequence[Candidate]
    ) -> AsyncIterator[tuple[Candidate, int]]:
        """Whom to ask in spite of an open circuit, before a call is refused: who opened first.

        An outage of a second must not refuse calls that have more time. One request goes out as
        a probe, the others wait for what comes of it. What does not pass by itself within seconds,
        a wrong key or spent credit, is left alone for as long as [circuits] says.
        """
        # Whoever was asked already has just failed: no probe at once.
        asked = any(row.outcome != "skipped" for row in call.rows)
        opened = [one for one in among if call.obstacle(one) is Failure.CIRCUIT_OPEN]
        opened = [one for one in opened if one.opened_at < math.inf]
        for pause in PAUSES if asked else (0, *PAUSES):
            seconds = pause * random.uniform(0.75, 1)
            if not opened or seconds >= call.time_left():
                return
            await asyncio.sleep(seconds)
            candidate = min(opened, key=lambda one: (one.resting is not None, one.opened_at))
            await call.probed(candidate)
            if not call.obstacle(candidate):
                yield candidate, len(opened)
            if not candidate.resting:  # it answered, if not well
                opened.remove(candidate)

    async def _affordable(self, call: Call) -> Sequence[Candidate]:
        """Whom to ask: its own candidates, or what `at_limit` says where a budget is used up."""
        if not (budget := await self.shared.spending.reached(call.stage)):
            return self.candidates
        left = await self._at_limit(call)
        for candidate in self.candidates:
            if candidate not in left:
                call.book(candidate.ref, "skipped", Finding(OVER))
        if not left and not call.to_human:
            raise _reached(budget)
        return left

    async def _at_limit(self, call: Call) -> Sequence[Candidate]:
        """Whom to ask although a budget is used up: the cheap models, or a human, or nobody."""
        at_limit = self.shared.spending.at_limit
        call.past_budgets = at_limit == "cheap_only"
        call.to_human = at_limit == "human"
        left = self.cheap if at_limit == "cheap_only" else ()
        for candidate in left:
            await candidate.load()
        return left


def _reached(budget: str) -> BudgetReached:
    return BudgetReached(f"The budget {budget} is used up: raise it, or change at_limit.")
