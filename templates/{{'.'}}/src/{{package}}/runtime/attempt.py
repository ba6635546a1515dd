"""One attempt: may this model be asked, what came of it, and the row it leaves in the ledger.

A `Call` is one request to a chain, and asks one candidate after the other.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_ai.messages import (
    INVALID_JSON_KEY,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from .border import least_tokens, mended
from .budgets import Limit, Reservation
from .errors import ChainExhausted, Escalated, MissingKey, Unanswered, WrongLoop, unresolved
from .failures import OF_ANSWERS, Candidate, Failure, of_error, of_response, refused
from .fleet import Fleet, ModelRef
from .ledger.attempt import MOST_TOKENS, Attempt, new_id
from .ledger.location import LedgerSettings, Location
from .ledger.prices import Prices, Spending, other_units, price_context, tier_text
from .ledger.rollup import Statement
from .ledger.writer import Ledger
from .redaction import raise_redacted, redact_error
from .run import Run, Stage
from .stalls import Watch

log = logging.getLogger(__name__)

CHARS_PER_TOKEN = 5  # a prompt that is too long by this careful measure is too long
BYTES_PER_TOKEN = 4  # of English, on average
BYTES_PER_TOKEN_AT_LEAST = 3  # what a budget reckons with
SMALLEST_WINDOW = 500  # tokens; no server cuts a prompt to less
SURE_SHARE = 0.75  # of the fewest tokens that a prompt can have: less is surely not all of it


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
    for when its request comes again. `erase` deletes a user's tickets: how many.
    """

    async def earlier(self, call: "Call") -> ModelResponse | None: ...
    async def answer(self, call: "Call") -> ModelResponse: ...
    def keep(self, run: Run, ticket: str) -> None: ...
    def erase(self, user_ref: str) -> int: ...
    async def aclose(self) -> None: ...


PERSON = ModelRef("human", "human")
NO_RESPONSE = ModelResponse(parts=[])
MakeHuman = Callable[[Path, Fleet], Human]
OpenStream = Callable[[Any, "Call"], AbstractAsyncContextManager[StreamedResponse]]
"""Opens the stream of a Chain's call."""
Texts = Callable[["Call", Sequence[Attempt]], Sequence[Statement]]
"""What stores a call's prompts and answers, in the transaction of some of its rows."""
OpenTexts = Callable[[Location, LedgerSettings], Texts | None]


@dataclass
class Shared:
    """What all chains of a workspace share; `under_way` are its calls and the tasks that wait."""

    ledger: Ledger
    prices: Prices
    spending: Spending
    permits: Callable[[ModelRef, str | None], bool]
    human: Human | None = None
    stream: OpenStream | None = None
    texts: Texts | None = None
    under_way: dict[str, asyncio.Task[Any] | None] = field(default_factory=dict[str, Any])
    loop: asyncio.AbstractEventLoop | None = None
    watch: Watch = field(default_factory=Watch)

    def expect_loop(self) -> None:
        """Raise WrongLoop where this is not the event loop of the first call."""
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise WrongLoop


@dataclass
class Call:
    """One request to a chain: who was asked, with what result, at what cost (nano-USD).

    `deadline` and `retry_at` are on the monotonic clock; `cap_nano` is for all attempts together,
    `attempt_s` the most that one of them gets.
    """

    stage: Stage
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    chain: str
    shared: Shared
    attempt_s: float | None = None
    deadline: float = math.inf
    cap_nano: float = math.inf
    to_human: bool = False
    retry_at: float = 0
    id: str = field(default_factory=new_id)
    rows: list[Attempt] = field(default_factory=list[Attempt])
    completions: dict[int, ModelResponse] = field(default_factory=dict[int, ModelResponse])
    spent_nano: int = 0
    outgrown: int = 0  # the largest context window that was too small
    said: str = ""  # what a client library says of a request that its model cannot take
    used_up: Limit | None = None  # the budget that had no room for an attempt
    past_budgets: bool = False  # as `at_limit` says, "cheap_only"
    _reserved: Reservation | None = None
    _unjudged: Attempt | None = None  # the row of a completion that is being examined
    _written: int = 0  # rows that the ledger has got
    _judged: list[Attempt] = field(default_factory=list[Attempt])

    def time_left(self) -> float:
        return self.deadline - time.monotonic()

    def share(self, models: int) -> float:
        """Seconds for one of so many models: a hang must leave enough for those after it."""
        return min(self.time_left() / models, self.attempt_s or math.inf)

    def obstacle(self, candidate: Candidate) -> Failure | None:
        """Why a model is not asked at all."""
        if candidate.missing_keys:
            return Failure.NO_KEY
        if not self.shared.permits(candidate.ref, self.stage.request.data_class):
            return Failure.DATA_CLASS
        if not self._suits(candidate.profile):
            return Failure.NO_CAPABILITY
        window = candidate.window or math.inf
        if window <= self.outgrown or self._prompt_tokens > window:
            return Failure.CONTEXT_TOO_LONG
        if self.spent_nano + self._least_nano(candidate) >= self.cap_nano:
            return Failure.OVER_BUDGET
        return Failure.TIMEOUT if self.time_left() <= 0 else candidate.resting

    async def waited_for(self, candidate: Candidate) -> bool:
        """Wait until a candidate may be asked again; False if that is too late."""
        pause = max(self.retry_at, candidate.rest_until) - time.monotonic()
        if pause >= self.time_left():
            return False
        await asyncio.sleep(max(0, pause))
        return True

    async def reserve(self, candidate: Candidate, models: int) -> Failure | None:
        """Set aside what an attempt may cost at most: None, or OVER_BUDGET where no room comes.

        Raises LedgerUnavailable where what it costs could not be recorded.
        """
        await self.shared.ledger.ready()
        limits = self.shared.spending.limits(self.stage)
        limits = [one for one in limits if not (self.past_budgets and one.is_budget)]
        call: Call | None = self
        while call:
            if call.cap_nano != math.inf:
                limits.append(Limit("call_usd", f"call {call.id}", call.left_nano, is_budget=False))
            call = call.stage.parent
        if not limits:
            return None
        nano, is_most = self._most_nano(candidate)
        held = await self.shared.spending.reservations.take(
            limits, str(candidate.ref), nano, is_most=is_most, wait_s=self.share(models + 1)
        )
        if isinstance(held, Limit):
            self.used_up = held if held.is_budget else self.used_up
            return Failure.OVER_BUDGET
        self._reserved = held
        return None

    def left_nano(self) -> float:
        """What all its attempts together may still cost."""
        return self.cap_nano - self.spent_nano

    def release(self, cost_nano: int | None = None) -> None:
        """Give back what is reserved for an attempt that is over."""
        if self._reserved:
            self.shared.spending.reservations.release(self._reserved, cost_nano)
        self._reserved = None

    async def probed(self, candidate: Candidate) -> None:
        """Wait for the probe of an open circuit that is under way, or make this call the probe."""
        if candidate.probe and not candidate.probe.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(candidate.probe.wait(), self.time_left())
        elif candidate.resting is Failure.CIRCUIT_OPEN:
            candidate.half_open()

    async def attempt(
        self, candidate: Candidate, models: int, repair: ModelRequest | None = None
    ) -> ModelResponse | str:
        """Ask the first of so many models: its completion, or why there is none.

        Each request leaves one row. Where its typed answer does not fit, it is told what is wrong,
        once. The queue for a slot counts as one model more.
        """
        started = response = None
        messages = [*self.messages, repair] if repair else self.messages
        typed = not self.parameters.allow_text_output
        try:
            async with self.limit(self.share(models + 1)) as limit:
                async with candidate.client() as model:
                    started = self.start(limit, models)
                    prepared = model.prepare_messages(messages, self.parameters)
                    response = await model.request(prepared, self.settings, self.parameters)
                response = mended(response, self.messages, typed=typed)
                candidate.succeeded()
                self.arrived(candidate.ref, response, started)
                finding = await self.examine(response)
        except BaseException as error:
            failure = self.fail(candidate, error, started, response)
            once_more = not (repair or self.obstacle(candidate))
            if once_more and response and isinstance(error, ValidationError):
                await self.flush()
                if await self.reserve(candidate, models):
                    return failure
                return await self.attempt(candidate, models, _repair(response, error))
            return failure
        self.book(candidate.ref, "rejected" if finding.reason else "ok", finding, response, started)
        return finding.reason or response

    def limit(self, seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """A limit of so many seconds that our own stalls do not count towards."""
        return self.shared.watch.limit(seconds, self.deadline)

    def start(self, limit: asyncio.Timeout, models: int) -> float:
        """When an attempt began that has got its slot; what is left is shared out anew."""
        limit.reschedule(asyncio.get_running_loop().time() + self.share(models))
        return time.perf_counter()

    def fail(
        self,
        candidate: Candidate,
        error: BaseException,
        started: float | None,
        response: ModelResponse | None = None,
    ) -> Failure:
        """Book an attempt that ended in an error: its kind. What is no failure passes through."""
        redact_error(error)
        failure, outcome = of_error(error), "rejected"
        in_a_check = response and not isinstance(error, OF_ANSWERS)  # asked again, it fails again
        if failure is None or in_a_check:
            self.book(candidate.ref, "aborted", NOTHING, response, started)
            raise_redacted(error)
        if failure is Failure.NO_CAPABILITY:  # nothing was sent
            self.said = f"{candidate.ref}: {error}. "
        elif cause := unresolved(error):
            self.said = f"{candidate.ref}: {cause}. "
        if started is None:  # no slot came free in time, or the model rests by now
            failure, outcome = candidate.resting or Failure.BUSY, "skipped"
        elif response is None:
            outcome = "skipped" if failure is Failure.NO_CAPABILITY else "failed"
            candidate.failed(failure, error)
        if failure is Failure.CONTEXT_TOO_LONG:
            self.outgrown = max(self.outgrown, candidate.window or 0)
        self.book(candidate.ref, outcome, Finding(failure), response, started)
        return failure

    async def examine(self, response: ModelResponse) -> Finding:
        """The first reason against a completion, or the lowest quality found.

        Raises pydantic's ValidationError where it does not fit its type. What a stage asks for
        is asked of its final answer only, not of a request to use a tool.
        """
        stage, asked = self.stage, self.parameters
        if failure := of_response(response, may_refuse=stage.settings.may_refuse):
            return Finding(failure)
        tools = {tool.name for tool in asked.function_tools}
        calls = {call.tool_name for call in response.tool_calls}
        if calls - tools - {tool.name for tool in asked.output_tools}:
            return Finding(Failure.UNINVITED_TOOL)
        if asked.allow_text_output and response.finish_reason == "tool_call" and not calls:
            return Finding(Failure.BROKEN_OFF)  # the call that it speaks of did not arrive
        if self._is_cut_prompt(reported(response)):
            return Finding(Failure.PROMPT_CUT)
        if calls & tools:
            broken = any(INVALID_JSON_KEY in call.args_as_dict() for call in response.tool_calls)
            return Finding(Failure.MALFORMED if broken else None)
        if not stage.settings.may_refuse and refused(response):
            return Finding(Failure.REFUSAL)
        stage.agent.parse(response)
        if stage.checks:  # which may take long, cost money, or be where the process ends
            await self.flush()
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

    async def give_up(self, candidates: Sequence[Candidate]) -> ModelResponse:
        """A person's answer, if the chain ends in one, or the error that says why nobody answered.

        Raises ChainExhausted, MissingKey, or Escalated when a person's answer comes later.
        """
        if all(row.error_type == Failure.NO_KEY for row in self.rows):
            keys = dict.fromkeys(key for c in candidates for key in c.missing_keys)
            raise MissingKey(f"Set {' or '.join(keys)} to ask a model of chain '{self.chain}'.")
        try:
            if self.shared.human and self.to_human and self.stage.human:
                await self.flush()
                return await self.shared.human.answer(self)
        except Escalated:
            self.book(PERSON, "escalated")
            raise
        except Unanswered as error:
            log.warning("No person answers: %s", error)
            self.book(PERSON, "failed", Finding(error.reason))
        told = [(row.request_model, row.error_type or row.outcome) for row in self.rows]
        self._settle(told)
        raise ChainExhausted(self.chain, told, self.said)

    def _settle(self, end: ModelResponse | list[tuple[str, str]]) -> None:
        """Tell the run how it ended: in a completion, or with the models that failed and why."""
        if self.stage.request.id:
            self.stage.run.settled.append((self, end))

    @property
    def question(self) -> str:
        """The text that was asked last."""
        asked = [p.content for m in self.messages for p in m.parts if p.part_kind == "user-prompt"]
        last = asked[-1] if asked else ""
        return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))

    def book(
        self,
        ref: ModelRef,
        outcome: str,
        finding: Finding = NOTHING,
        response: ModelResponse | None = None,
        started: float | None = None,
        ttft_ms: int | None = None,
    ) -> None:
        """Add an attempt's row, with what it used and cost, or say how one ended that is there."""
        if row := self._unjudged:
            self._unjudged = None
            self._judge(row, outcome, finding, response)
            return
        usage, seconds = reported(response), time.perf_counter() - started if started else 0
        told = response or NO_RESPONSE
        context = price_context(told, self.settings if response else None)
        broken_off = response is None or response.state not in ("complete", "suspended")
        estimate = broken_off and (outcome == "aborted" or (outcome == "failed" and told.parts))
        if started and usage is None and estimate:  # its provider bills it all the same
            usage = self._estimated(told)
        answered = response is not None or usage is not None
        cost = self.shared.prices.cost(
            ref,
            usage,
            context=context,
            seconds=seconds if started and answered else None,
            served=told.model_name,
        )
        before = self.rows[-1].request_model if self.rows else ref.model
        row = Attempt(
            ts_us=time.time_ns() // 1000,
            latency_ms=round(seconds * 1000),
            ttft_ms=ttft_ms,
            call_id=self.id,
            provider=ref.provider,
            deployment=ref.deployment,
            request_model=ref.model,
            response_model=told.model_name,
            provider_request_id=told.provider_response_id,
            service_tier=tier_text(context),
            chain=self.chain,
            attempt=len(self.rows) + 1,
            fallback_from=before if before != ref.model else None,
            outcome=outcome,
            error_type=finding.reason,
            quality=finding.quality,
            quality_source=finding.source,
            cost_nano_usd=cost.nano_usd,
            cost_source="estimated" if estimate and cost.nano_usd is not None else cost.source,
            price_version=cost.version,
            **(_counts(usage) if usage else {}),
            **self.stage.labels,
        )
        self._keep(row, response)

    def arrived(
        self, ref: ModelRef, response: ModelResponse, started: float, ttft_ms: int | None = None
    ) -> None:
        """Add the row of a completion that is yet to be examined: "aborted", if nothing follows."""
        self.book(ref, "aborted", NOTHING, response, started, ttft_ms)
        self._unjudged = self.rows[-1]

    def _judge(
        self, row: Attempt, outcome: str, finding: Finding, response: ModelResponse | None
    ) -> None:
        row.outcome, row.error_type = outcome, finding.reason
        row.quality, row.quality_source = finding.quality, finding.source
        if row.attempt <= self._written and outcome != "aborted":
            self._judged.append(row)
        if response and outcome == "ok":
            self._settle(response)

    async def flush(self) -> None:
        """Return once all that was booked so far is in the ledger. Raises LedgerError."""
        rows, judged = self.rows[self._written :], self._judged
        # What is handed over is written, even if whoever waits for it is cancelled.
        self._written, self._judged = len(self.rows), list[Attempt]()
        if rows or judged:
            texts = self.shared.texts(self, rows) if rows and self.shared.texts else ()
            await self.shared.ledger.write(rows, texts, judged)

    def _keep(self, row: Attempt, response: ModelResponse | None) -> None:
        self.rows.append(row)
        self.stage.run.attempts.append(row)
        self.shared.spending.add([row])
        call: Call | None = self
        while call:
            call.spent_nano += row.cost_nano_usd or 0
            call = call.stage.parent
        self.release(row.cost_nano_usd)
        if response:
            self.completions[row.attempt] = response
        if response and row.outcome == "ok":
            self._settle(response)

    def _is_cut_prompt(self, usage: RequestUsage | None) -> bool:
        """Whether a server counted far fewer tokens than the prompt has at the least.

        Some count cached tokens apart, so these are added. What is left below the size of any
        window is a count of something else.
        """
        if usage is None or usage.input_tokens < SMALLEST_WINDOW:
            return False
        counted = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if counted > self._prompt_tokens:  # the usual case, and cheap
            return False
        return counted < least_tokens(self.messages) * SURE_SHARE

    def _suits(self, profile: ModelProfile) -> bool:
        """Whether a model can do what the request needs: tools, a schema, images."""
        mode = self.parameters.output_mode
        if mode == "auto" and self.parameters.output_object:
            mode = profile.get("default_structured_output_mode", "tool")
        needs = {
            "supports_tools": mode == "tool" or self.parameters.function_tools,
            "supports_json_schema_output": mode == "native",
            "supports_image_input": self._has_image,
        }
        return all(profile.get(name, True) for name, needed in needs.items() if needed)

    @cached_property
    def _has_image(self) -> bool:
        files = _contents(self.messages)
        return any(isinstance(f, ImageUrl) or getattr(f, "is_image", False) for f in files)

    @cached_property
    def _prompt_tokens(self) -> int:
        texts = (item for item in _contents(self.messages) if isinstance(item, str))
        return sum(map(len, texts)) // CHARS_PER_TOKEN

    @cached_property
    def _sent(self) -> list[str]:
        """The texts of a request: its messages, and the tools and schemas it offers."""
        asked = self.parameters
        tools = [*asked.function_tools, *asked.output_tools]
        parts = (part for message in self.messages for part in message.parts)
        calls = [part.args_as_json_str() for part in parts if isinstance(part, ToolCallPart)]
        texts = [_as_text(item) for item in _contents(self.messages)]
        return [*texts, *calls, *(json.dumps(tool.parameters_json_schema) for tool in tools)]

    def _estimated(self, response: ModelResponse) -> RequestUsage:
        """What a request that broke off has used: its prompt, and what had arrived."""
        said = (str(getattr(p, "content", getattr(p, "args", ""))) for p in response.parts)
        known = response.usage
        return RequestUsage(
            input_tokens=known.input_tokens or _tokens(self._sent, BYTES_PER_TOKEN),
            output_tokens=max(known.output_tokens, _tokens(said, BYTES_PER_TOKEN)),
        )

    def _most_nano(self, candidate: Candidate) -> tuple[int, bool]:
        """What an attempt will cost at most, and whether its answer cannot grow longer than that.

        0 where no price is known.
        """
        settings = self.settings
        stated = settings["max_tokens"] if settings and "max_tokens" in settings else None
        read = _tokens(self._sent, BYTES_PER_TOKEN_AT_LEAST)
        caches = any("cache" in name for name in settings or ())  # to write it may cost more
        usage = RequestUsage(
            input_tokens=read,
            cache_write_tokens=read if caches else 0,
            output_tokens=stated or self.shared.spending.answer_tokens,
        )
        ref = candidate.ref  # of a deployment, its name is the best guess so far
        context = price_context(NO_RESPONSE, self.settings)
        cost = self.shared.prices.cost(
            ref, usage, context=context, seconds=self.share(1), served=ref.model
        )
        return cost.nano_usd or 0, stated is not None

    def _least_nano(self, candidate: Candidate) -> int:
        """What the prompt alone will cost; 0 where nothing is capped or no price is known."""
        if self.cap_nano == math.inf:
            return 0
        usage = RequestUsage(input_tokens=self._prompt_tokens)
        ref = candidate.ref
        return self.shared.prices.cost(ref, usage, served=ref.model).nano_usd or 0


def _as_text(item: object) -> str:
    """What a message holds as a model reads it: a tool's result as JSON, a file as nothing."""
    if isinstance(item, str):
        return item
    is_file = item is None or hasattr(item, "kind")
    return "" if is_file else to_json(item, fallback=str).decode()


def _tokens(texts: Iterable[str], bytes_each: int) -> int:
    """About how many tokens some texts are. Bytes, since a Chinese character is a token or more."""
    return sum(len(text.encode(errors="replace")) for text in texts) // bytes_each


def reported(response: ModelResponse | None) -> RequestUsage | None:
    """The usage of a completion, None where its provider reported none."""
    whole = response is not None and response.state in ("complete", "suspended")
    if response is None or not whole or response.usage.unmeasured_requests:
        return None
    counted = max(response.usage.input_tokens, response.usage.output_tokens)
    return response.usage if 0 < counted < MOST_TOKENS else None


def _counts(usage: RequestUsage) -> dict[str, Any]:
    """The columns of a completion's usage."""
    others, reasoning = other_units(usage), usage.output_reasoning_tokens
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "reasoning_output_tokens": reasoning or usage.details.get("reasoning_tokens"),
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


def _repair(response: ModelResponse, misfit: ValidationError) -> ModelRequest:
    """What a model is told of its typed answer that does not fit."""
    calls = [call.args_as_json_str() for call in response.tool_calls]
    wrong = misfit.json(include_url=False, include_context=False, include_input=False)
    return ModelRequest.user_text_prompt(
        f"You answered: {calls[0] if calls else response.text}\n"
        f"That does not fit the schema: {wrong}\nAnswer again, with all of it right."
    )
