"""Make one request to a chain: ask a candidate, check its completion, record the attempt."""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from pydantic import ValidationError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from .call_budget import CallBudget, RequestSize
from .candidates import Candidate, Eligibility
from .completion import Examination, repair_response
from .errors import ChainExhausted, Escalated, MissingKey, Unanswered, explain_lookup
from .failure_kinds import Failure
from .failures import CHECK_ERRORS, classify_error
from .ledger.attempt import Attempt, new_id
from .ledger.writer import Ledger
from .record import CallRecord
from .redaction import raise_redacted, redact_error
from .run import CheckResult, Stage
from .shared import PERSON, Shared
from .stalls import TimeLimits

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Call:
    """One request to a chain, which asks one candidate after the other."""

    stage: Stage
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    chain: str
    shared: Shared
    time: TimeLimits
    cap_nano: float = math.inf
    """What all its attempts together may cost, in nano-USD."""
    retry_at: float = 0
    """When retries may begin, on the monotonic clock."""
    to_human: bool = False
    id: str = field(default_factory=new_id)
    hint: str = ""
    """What may help where no model answers."""
    budget: CallBudget = field(init=False)
    record: CallRecord = field(init=False)
    eligibility: Eligibility = field(init=False)
    examination: Examination = field(init=False)

    def __post_init__(self) -> None:
        stage, shared, spending = self.stage, self.shared, self.shared.spending
        size = RequestSize(self.messages, self.parameters)
        self.budget = CallBudget(
            call_id=self.id,
            cap_nano=self.cap_nano,
            parent=stage.parent.budget if stage.parent else None,
            limits=lambda: spending.limits(stage.run, stage.task_type),
            reservations=spending.reservations,
            prices=shared.prices,
            size=size,
            settings=self.settings,
            answer_tokens=spending.answer_tokens,
        )
        self.record = CallRecord(
            id=self.id,
            chain=self.chain,
            settings=self.settings,
            labels=stage.labels,
            size=size,
            budget=self.budget,
            prices=shared.prices,
            ledger=shared.ledger,
            texts=shared.texts,
            on_row=self._count_row,
            on_answer=self._settle,
        )
        self.examination = Examination(
            stage=stage, parameters=self.parameters, size=size, flush=self.record.flush
        )
        self.eligibility = Eligibility(
            size=size,
            parameters=self.parameters,
            budget=self.budget,
            permits=lambda ref: shared.permits(ref, stage.request.data_class),
        )

    @property
    def ledger(self) -> Ledger:
        return self.shared.ledger

    @property
    def rows(self) -> Sequence[Attempt]:
        return self.record.rows

    @property
    def question(self) -> str:
        """Return the text that was asked last."""
        asked = [p.content for m in self.messages for p in m.parts if p.part_kind == "user-prompt"]
        last = asked[-1] if asked else ""
        return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))

    @property
    def deadline(self) -> float:
        return self.time.deadline

    def skip_reason(self, candidate: Candidate) -> Failure | None:
        """Return why a model is not asked at all, or None when it may be."""
        return self.eligibility.skip_reason(candidate, self.time.left())

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
        pause = max(self.retry_at, candidate.available_at) - monotonic()
        if pause >= self.time.left():
            return False
        await asyncio.sleep(max(0, pause))
        return True

    def skip(self, candidate: Candidate, reason: str) -> None:
        self.record.add(candidate.ref, "skipped", CheckResult(reason))

    async def attempt(
        self, candidate: Candidate, models: int, repair: ModelRequest | None = None
    ) -> ModelResponse | str:
        """Ask the first of so many models; return its completion, or the reason it was rejected.

        Each request leaves one row. A typed answer that does not fit is sent back once with what
        is wrong. The queue for a slot counts as one model more.
        """
        started = response = None
        messages = [*self.messages, repair] if repair else self.messages
        typed = not self.parameters.allow_text_output
        try:
            async with self.time.limit(models + 1) as limit:
                async with candidate.client() as model:
                    started = self.time.start(limit, models)
                    prepared = model.prepare_messages(messages, self.parameters)
                    response = await model.request(prepared, self.settings, self.parameters)
                response = repair_response(response, self.messages, typed=typed)
                candidate.record_success()
                self.record.add_unjudged(candidate.ref, response, started)
                result = await self.examination.examine(response, self)
        except BaseException as error:
            failure = self.record_failure(candidate, error, started, response)
            is_misfit = response is not None and isinstance(error, ValidationError)
            if not is_misfit or repair or self.skip_reason(candidate):
                return failure
            await self.record.flush()
            if await self.reserve(candidate, models):
                return failure
            return await self.attempt(candidate, models, _ask_to_repair(response, error))
        outcome = "rejected" if result.reason else "ok"
        self.record.add(candidate.ref, outcome, result, response=response, started=started)
        return result.reason or response

    def record_failure(
        self,
        candidate: Candidate,
        error: BaseException,
        started: float | None,
        response: ModelResponse | None = None,
    ) -> Failure:
        """Record an attempt that ended in an error. Re-raise errors that are not the model's."""
        redact_error(error)
        failure = classify_error(error)
        in_a_check = response and not isinstance(error, CHECK_ERRORS)  # asked again, it fails again
        if failure is None or in_a_check:
            self.record.add(candidate.ref, "aborted", response=response, started=started)
            raise_redacted(error)
        if failure is Failure.NO_CAPABILITY:  # nothing was sent
            self.hint = f"{candidate.ref}: {error}"
        elif cause := explain_lookup(error):
            self.hint = f"{candidate.ref}: {cause}"
        outcome = "rejected"
        if started is None:  # no slot came free in time, or the model is not available by now
            failure, outcome = candidate.unavailable or Failure.BUSY, "skipped"
        elif response is None:
            outcome = "skipped" if failure is Failure.NO_CAPABILITY else "failed"
            candidate.record_failure(failure, error)
        if failure is Failure.CONTEXT_TOO_LONG:
            self.eligibility.exclude_window(candidate)
        result = CheckResult(failure)
        self.record.add(candidate.ref, outcome, result, response=response, started=started)
        return failure

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
        self._settle(failures)
        raise ChainExhausted(self.chain, failures, self.hint)

    def _settle(self, end: ModelResponse | list[tuple[str, str]]) -> None:
        """Tell the run how the call ended: in a completion, or with the models that failed."""
        if self.stage.request.id:
            self.stage.run.settled.append((self, end))

    def _count_row(self, row: Attempt) -> None:
        self.stage.run.attempts.append(row)
        self.shared.spending.add([row])


def _ask_to_repair(response: ModelResponse | None, misfit: BaseException) -> ModelRequest:
    """Return the request to correct a typed answer that does not fit."""
    assert response is not None and isinstance(misfit, ValidationError)
    calls = [call.args_as_json_str() for call in response.tool_calls]
    wrong = misfit.json(include_url=False, include_context=False, include_input=False)
    return ModelRequest.user_text_prompt(
        f"You answered: {calls[0] if calls else response.text}\n"
        f"That does not fit the schema: {wrong}\nAnswer again, with all of it right."
    )
