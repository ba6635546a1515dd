"""Make one request to a chain: ask a candidate, check its completion, record the attempt."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TypeVar

from pydantic import ValidationError
from pydantic_ai.messages import ModelRequest, ModelResponse

from .call_budget import CallBudget
from .call_request import CallRequest, ask_to_repair
from .candidates import Candidate
from .completion import reject_completion, repair_response, uses_tool
from .errors import ChainExhausted, Escalated, MissingKey, Unanswered, explain_lookup
from .failure_kinds import Failure
from .failures import CHECK_ERRORS, classify_error
from .ledger.attempt import Attempt
from .ledger.writer import Ledger
from .record import CallRecord
from .redaction import raise_redacted, redact_error
from .run import PASSED, CheckResult
from .shared import PERSON, Shared
from .stalls import TimeLimits

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Ask = Callable[[Candidate, int], Awaitable[Answer | str]]
"""Asks the first of so many models that are left; returns its answer, or why there is none."""


@dataclass(kw_only=True)
class Call(CallRequest):
    """One request to a chain, which asks one candidate after the other."""

    shared: Shared
    time: TimeLimits
    retry_at: float = 0
    """When retries may begin, on the monotonic clock."""
    to_human: bool = False
    min_window: int = 0
    """The largest context window that was too small."""
    hint: str = ""
    """What may help where no model answers."""
    budget: CallBudget = field(init=False)
    record: CallRecord = field(init=False)

    def __post_init__(self) -> None:
        self.budget = CallBudget(self, self.shared.spending, self.shared.prices)
        self.record = CallRecord(self, self.shared, self.budget)

    @property
    def ledger(self) -> Ledger:
        return self.shared.ledger

    @property
    def rows(self) -> Sequence[Attempt]:
        return self.record.rows

    @property
    def deadline(self) -> float:
        return self.time.deadline

    def skip_reason(self, candidate: Candidate) -> Failure | None:
        """Return why a model is not asked at all, or None when it may be."""
        if candidate.missing_keys:
            return Failure.NO_KEY
        if not self.shared.permits(candidate.ref, self.stage.request.data_class):
            return Failure.DATA_CLASS
        if not self.suits(candidate.profile):
            return Failure.NO_CAPABILITY
        window = candidate.window or math.inf
        if window <= self.min_window or self.prompt_tokens > window:
            return Failure.CONTEXT_TOO_LONG
        if not self.budget.covers_prompt(candidate.ref):
            return Failure.OVER_BUDGET
        return Failure.TIMEOUT if self.time.left() <= 0 else candidate.unavailable

    def skip(self, candidate: Candidate, reason: str) -> None:
        self.record.add(candidate.ref, "skipped", CheckResult(reason))

    async def ask(self, candidate: Candidate, models: int, ask: Ask[Answer]) -> Answer | str:
        """Ask one model, unless it may not be asked; what was paid for is in the ledger then."""
        if reason := self.skip_reason(candidate) or await self.reserve(candidate, models):
            self.skip(candidate, reason)
            return reason
        result = await ask(candidate, models)
        if isinstance(result, str) and self.rows[-1].outcome != "skipped":
            await self.record.flush()
        return result

    async def reserve(self, candidate: Candidate, models: int) -> Failure | None:
        """Set aside what an attempt may cost at most; return OVER_BUDGET where too little is left.

        Raises LedgerUnavailable where what it costs could not be recorded.
        """
        await self.shared.ledger.ready()
        wait_s, longest_s = self.time.share(models + 1), self.time.share(1)
        has_room = await self.budget.reserve(candidate.ref, wait_s=wait_s, time_left_s=longest_s)
        return None if has_room else Failure.OVER_BUDGET

    async def wait_until_available(self, candidate: Candidate) -> bool:
        """Wait until a candidate may be asked again; return False if that is too late."""
        pause = max(self.retry_at, candidate.available_at) - time.monotonic()
        if pause >= self.time.left():
            return False
        await asyncio.sleep(max(0, pause))
        return True

    async def attempt(
        self, candidate: Candidate, models: int, repair: ModelRequest | None = None
    ) -> ModelResponse | str:
        """Ask the first of so many models; return its completion, or the reason it was rejected.

        Each request leaves one row. A typed answer that does not fit is sent back once with what
        is wrong. The queue for a slot counts as one model more.
        """
        started = response = None
        messages = [*self.messages, repair] if repair else self.messages
        try:
            async with self.time.limit(self.time.share(models + 1)) as limit:
                async with candidate.client() as model:
                    limit.set(self.time.share(models))
                    started = time.perf_counter()
                    prepared = model.prepare_messages(messages, self.parameters)
                    response = await model.request(prepared, self.settings, self.parameters)
                response = repair_response(response, self)
                candidate.record_success()
                self.record.add(
                    candidate.ref, "aborted", response=response, started=started, to_judge=True
                )
                result = await self.examine(response)
        except BaseException as error:
            failure = self.record_failure(candidate, error, started, response)
            is_misfit = response is not None and isinstance(error, ValidationError)
            if not is_misfit or repair or self.skip_reason(candidate):
                return failure
            await self.record.flush()
            if await self.reserve(candidate, models):
                return failure
            return await self.attempt(candidate, models, ask_to_repair(response, error))
        outcome = "rejected" if result.reason else "ok"
        self.record.add(candidate.ref, outcome, result, response=response, started=started)
        if result.reason is None:
            self.settle(response)
        return result.reason or response

    def record_failure(
        self,
        candidate: Candidate,
        error: BaseException,
        started: float | None,
        response: ModelResponse | None = None,
        partial: ModelResponse | None = None,
    ) -> Failure:
        """Record an attempt that an error ended, after `partial`. Re-raise what is not the model's."""
        redact_error(error)
        failure = classify_error(error)
        in_a_check = response and not isinstance(error, CHECK_ERRORS)  # asked again, it fails again
        if failure is None or in_a_check:
            self.record.add(candidate.ref, "aborted", response=response or partial, started=started)
            raise_redacted(error)
        if failure is Failure.NO_CAPABILITY:  # nothing was sent
            self.hint = f"{candidate.ref}: {error}".rstrip(".")
        elif cause := explain_lookup(error):
            self.hint = f"{candidate.ref}: {cause}"
        outcome = "rejected"
        if started is None:  # no slot came free in time, or the model is not available by now
            failure, outcome = candidate.unavailable or Failure.BUSY, "skipped"
        elif response is None:
            outcome = "skipped" if failure is Failure.NO_CAPABILITY else "failed"
            candidate.record_failure(failure, error)
        if failure is Failure.CONTEXT_TOO_LONG:  # only larger windows from here on
            self.min_window = max(self.min_window, candidate.window or 0)
        result, response = CheckResult(failure), response or partial
        self.record.add(candidate.ref, outcome, result, response=response, started=started)
        return failure

    async def examine(self, response: ModelResponse) -> CheckResult:
        """Return the first reason against a completion, or the lowest quality found.

        Raises pydantic's ValidationError where it does not fit its type. What a stage asks for
        is asked of its final answer only, not of a request to use a tool.
        """
        reason = reject_completion(response, self)
        if reason or uses_tool(response, self):
            return CheckResult(reason)
        self.stage.agent.parse(response)
        if self.stage.checks:  # which may take long, cost money, or be where the process ends
            await self.record.flush()
        lowest = PASSED
        for check in self.stage.checks:
            said = check(response, self)
            said = await said if isawaitable(said) else said
            result = said if isinstance(said, CheckResult) else CheckResult(said)
            if result.reason:
                return result
            if result.quality is not None and (
                lowest.quality is None or result.quality <= lowest.quality
            ):
                lowest = result
        return lowest

    async def earlier_answer(self) -> ModelResponse | None:
        """Return what this very call of the request got before: it is not paid for twice."""
        human = self.shared.human
        return await human.earlier(self) if human and self.stage.request.id else None

    async def give_up(self, candidates: Sequence[Candidate]) -> ModelResponse:
        """Return a person's answer, if the chain ends in one, or raise why nobody answered.

        Raises ChainExhausted, MissingKey, or Escalated when a person's answer comes later.
        """
        if all(row.error_type == Failure.NO_KEY for row in self.rows):
            keys = dict.fromkeys(key for c in candidates for key in c.missing_keys)
            raise MissingKey(
                f"No model of chain '{self.chain}' has a key", f"set {' or '.join(keys)}"
            )
        try:
            if self.shared.human and self.to_human and self.stage.human:
                await self.record.flush()
                return await self.shared.human.answer(self)
        except Escalated:
            self.record.add(PERSON, "escalated")
            raise
        except Unanswered as error:
            log.warning("No person answers: %s", error)
            self.record.add(PERSON, "failed", CheckResult(error.reason))
        failures = [(row.request_model, row.error_type or row.outcome) for row in self.rows]
        self.settle(failures)
        raise ChainExhausted(self.chain, failures, self.hint)

    def settle(self, end: ModelResponse | list[tuple[str, str]]) -> None:
        """Say to the run how the call ended: in a completion, or with the models that failed."""
        if self.stage.request.id:
            self.stage.run.settled.append((self, end))
