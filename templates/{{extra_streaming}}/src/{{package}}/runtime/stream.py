"""A chain's answer as it arrives.

Before the first word the chain falls back freely. After it, `on_cut` says what follows a stream
that breaks off or turns out to be no answer: StreamCut, which holds what had arrived, or a
`Restarted` event, after which the next model begins anew.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic_ai.messages import (
    FinalResultEvent,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import CompletedStreamedResponse, StreamedResponse
from pydantic_ai.usage import RequestUsage

from .call import Call
from .candidates import Candidate
from .chain import Chain
from .completion import reject_end, repair_response
from .errors import ChainExhausted, FleetError
from .failure_kinds import Failure
from .failures import CHECK_ERRORS, classify_error
from .redaction import raise_redacted, redact_error
from .run import PASSED, CheckResult
from .stalls import Stalled

Events = AsyncIterator[ModelResponseStreamEvent]
GRACE_S = 1


class StreamCut(FleetError):
    """A stream broke off, and `on_cut` of its chain does not let the next model start again."""

    def __init__(self, model: str, reason: str, partial: str) -> None:
        self.model = model
        self.reason = reason
        self.partial = partial
        super().__init__(f"{model} broke off ({reason})", 'on_cut = "restart" asks the next model')


@dataclass(repr=False, kw_only=True)
class Restarted(PartStartEvent):
    """What has arrived so far is void; `model` begins anew because of `reason`."""

    index: int = 0
    part: ModelResponsePart = field(default_factory=lambda: TextPart(""))
    model: str
    reason: str


@dataclass
class Opened:
    """A stream whose first word has arrived; `held` are the events up to it, thoughts too."""

    candidate: Candidate
    inner: StreamedResponse
    events: Events
    held: list[ModelResponseStreamEvent]
    stack: AsyncExitStack
    started: float
    ttft_ms: int | None
    idle_s: float


@asynccontextmanager
async def open_stream(chain: Chain, call: Call) -> AsyncGenerator[StreamedResponse]:
    """Yield the stream of the first model that speaks; to leave it early is to abort it."""
    stream = ChainStream(chain, call)
    try:
        await stream.open()
        yield stream
    finally:
        await stream.leave()


class ChainStream(StreamedResponse):
    """One stream over as many models as it takes. `get` and `usage` are the last one's."""

    def __init__(self, chain: Chain, call: Call) -> None:
        super().__init__(model_request_parameters=call.parameters)
        self._chain = chain
        self._call = call
        self._asked: set[Candidate] = set()
        self._opened: Opened | None = None
        self._inner: StreamedResponse
        self._events: Events | None = None
        self._whole: ModelResponse | None = None  # once it has ended and been accepted

    async def open(self) -> None:
        """Run the chain's policy until a model speaks. Raises what the chain raises."""
        left = self._chain.cheap if self._call.budget.past_budgets else self._chain.candidates
        among = [one for one in left if one not in self._asked] if self._asked else None
        found = await self._chain.answer(self._call, self._ask, among)
        if isinstance(found, ModelResponse):  # a person's
            found = CompletedStreamedResponse(
                found, model_request_parameters=self.model_request_parameters, replay_events=True
            )
        if isinstance(found, StreamedResponse):
            self._inner, self._opened = found, None
        else:
            self._inner, self._opened = found.inner, found

    async def leave(self) -> None:
        if self._opened:
            await self._close("aborted")

    def __aiter__(self) -> Events:
        if self._events is None:
            self._events = self._get_event_iterator()
        return self._events

    async def _get_event_iterator(self) -> Events:
        while True:
            reason = None
            try:
                async for event in self._current():
                    if isinstance(event, FinalResultEvent):
                        self.final_result_event = event
                    yield event
            except BaseException as error:
                redact_error(error)
                reason = classify_error(error)
                if self._opened is None or reason is None:
                    raise_redacted(error)
                if reason is Failure.NETWORK and _is_whole(self._inner.get()):
                    reason = await self._settle()  # only what comes after an answer is missing
                else:
                    self._opened.candidate.record_failure(reason, error)
                    await self._close("failed", CheckResult(reason))
            else:
                reason = await self._settle()
            if reason is None:
                self._finished = True
                return
            yield await self._restart(reason)

    async def _current(self) -> Events:
        """Yield the events of the stream now open, each within the call's time."""
        if self._opened is None:
            async for event in self._inner:
                yield event
            return
        for event in self._opened.held:
            yield event
        while True:
            left = self._call.time.left()
            if left <= 0:  # whoever reads has used it up, not the model
                raise Stalled
            async with self._call.time.limit(min(self._opened.idle_s, left)):
                event = await anext(self._opened.events, None)
            if event is None:
                return
            yield event

    async def _settle(self) -> str | None:
        """Examine a stream that has ended by itself; return why it is not an answer, or None."""
        if self._opened is None:
            return None
        response = self._read()
        if _is_cut(response):
            await self._close("failed", CheckResult(Failure.NETWORK))
            return Failure.NETWORK
        opened = self._opened
        self._call.record.add(
            opened.candidate.ref,
            "aborted",
            response=response,
            started=opened.started,
            ttft_ms=opened.ttft_ms,
            to_judge=True,
        )
        try:
            # Models that a check asks end at the deadline by themselves, and then reject nothing.
            async with asyncio.timeout(self._call.time.left() + GRACE_S):
                result = await self._call.examine(response)
        except CHECK_ERRORS as error:
            result = CheckResult(classify_error(error))
        await self._close("rejected" if result.reason else "ok", result)
        self._whole = None if result.reason else response
        return result.reason

    async def _restart(self, reason: str) -> Restarted:
        """Announce the next model's stream. Raises StreamCut if none may follow, or none is left."""
        before, partial = self._call.rows[-1].request_model, self._inner.get().text or ""
        cut = StreamCut(before, reason, partial)
        if self._chain.rules.on_cut == "fail":
            raise cut
        try:
            await self.open()
        except ChainExhausted as error:
            raise cut from error
        return Restarted(model=self.model_name, reason=reason)

    async def _ask(self, candidate: Candidate, models: int) -> Opened | str:
        """Open one model's stream and wait for its first word; as `Call.attempt`."""
        self._asked.add(candidate)
        call, stack, started, inner = self._call, AsyncExitStack(), None, None
        try:
            async with call.time.limit(call.time.share(models + 1)) as limit:
                model = await stack.enter_async_context(candidate.client())
                started, idle_s = time.perf_counter(), call.time.share(models)
                limit.set(idle_s)
                prepared = model.prepare_messages(call.messages, call.parameters)
                opening = model.request_stream(prepared, call.settings, call.parameters)
                inner = await stack.enter_async_context(opening)
                events = aiter(inner)
                held, ttft_ms = list[ModelResponseStreamEvent](), None
                async for event in events:
                    held.append(event)
                    if ttft_ms is None and _has_content(event):
                        ttft_ms = round((time.perf_counter() - started) * 1000)
                    if _speaks(event):
                        break
                    # It thinks, and may do so for longer than one event may take.
                    limit.set(min(idle_s, call.time.left()))
                else:
                    return await self._silent(candidate, inner.get(), started, stack)
        except BaseException as error:
            try:  # first: to close it may take long, or be cancelled too
                partial = inner and replace(repair_response(inner.get(), call), state="incomplete")
                return call.record_failure(candidate, error, started, partial=partial)
            finally:
                await stack.aclose()
        return Opened(candidate, inner, events, held, stack, started, ttft_ms, idle_s)

    async def _silent(
        self, candidate: Candidate, response: ModelResponse, started: float, stack: AsyncExitStack
    ) -> Failure:
        """Record a stream that ended before its first word: why."""
        reason = Failure.NETWORK if _is_cut(response) else reject_end(response) or Failure.EMPTY
        outcome = "failed" if reason is Failure.NETWORK else "rejected"
        self._call.record.add(
            candidate.ref, outcome, CheckResult(reason), response=response, started=started
        )
        await stack.aclose()
        return reason

    async def _close(self, outcome: str, result: CheckResult = PASSED) -> None:
        """Record the open attempt and close its stream."""
        opened, self._opened = self._opened, None
        assert opened is not None
        response = self._read()
        if outcome in ("failed", "aborted"):
            response = replace(response, state="incomplete")  # its tokens are not all counted
        else:
            opened.candidate.record_success()
        self._call.record.add(
            opened.candidate.ref,
            outcome,
            result,
            response=response,
            started=opened.started,
            ttft_ms=opened.ttft_ms,
        )
        if outcome == "ok":
            self._call.settle(response)
        await opened.stack.aclose()

    def _read(self) -> ModelResponse:
        """Return what has arrived, as the rest of the workspace can use it."""
        return repair_response(self._inner.get(), self._call)

    def get(self) -> ModelResponse:
        return self._whole or self._inner.get()

    async def close_stream(self) -> None:
        await self._inner.close_stream()

    @property
    def usage(self) -> RequestUsage:
        return self._inner.usage

    @property
    def model_name(self) -> str:
        return self._inner.model_name

    @property
    def provider_name(self) -> str | None:
        return self._inner.provider_name

    @property
    def provider_url(self) -> str | None:
        return self._inner.provider_url

    @property
    def timestamp(self) -> datetime:
        return self._inner.timestamp


def _is_whole(response: ModelResponse) -> bool:
    """Return whether a stream has said, before it was cut, that it stopped by itself."""
    said = (response.provider_details or {}).get("finish_reason")
    return bool(said) and reject_end(response) is None


def _is_cut(response: ModelResponse) -> bool:
    """Return whether a stream ended by itself too early: it says neither why nor what it used.

    OpenAI's format has servers that say no more than the usage, which comes last.
    """
    if (response.provider_details or {}).get("finish_reason"):
        return False
    silent = response.finish_reason == "stop" and response.provider_url is not None
    return response.finish_reason is None or (silent and bool(response.usage.unmeasured_requests))


def _has_content(event: ModelResponseStreamEvent) -> bool:
    """Return whether an event brings a piece of thought or answer, not only its envelope."""
    if isinstance(event, PartStartEvent):
        return bool(getattr(event.part, "content", True))
    return isinstance(event, PartDeltaEvent) and bool(getattr(event.delta, "content_delta", True))


def _speaks(event: ModelResponseStreamEvent) -> bool:
    """Return whether an event belongs to the answer: a word, a tool call, but not a thought."""
    part = getattr(event, "part", None) or getattr(event, "delta", None)
    silent = (ThinkingPart, ThinkingPartDelta, NativeToolCallPart, NativeToolReturnPart)
    return _has_content(event) and not isinstance(part, silent)
