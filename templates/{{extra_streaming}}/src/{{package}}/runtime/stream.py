"""A chain's answer as it arrives.

Before the first word the chain falls back freely. After it, `on_cut` says what follows a stream
that breaks off or turns out to be no answer: StreamCut, which holds what had arrived, or a
`Restarted` event, after which the next model begins anew.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic_ai.messages import (
    FinalResultEvent,
    ModelResponse,
    ModelResponsePart,
    PartStartEvent,
    TextPart,
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
from .stream_opening import Events, Opened, is_cut, open_candidate

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
        if is_cut(response):
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
        """Open one model's stream; as `Call.attempt`."""
        self._asked.add(candidate)
        return await open_candidate(self._call, candidate, models)

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
