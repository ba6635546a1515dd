"""A model's stream until its first word: opened, held back, and why it has none."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
    PartDeltaEvent,
    PartStartEvent,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import StreamedResponse

from .call import Call
from .candidates import Candidate
from .completion import reject_end, repair_response
from .failure_kinds import Failure
from .run import CheckResult

Events = AsyncIterator[ModelResponseStreamEvent]


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


async def open_candidate(call: Call, candidate: Candidate, models: int) -> Opened | str:
    """Open one model's stream and wait for its first word; returns as `Call.attempt`."""
    stack, started, inner = AsyncExitStack(), None, None
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
                return await _silent(call, candidate, inner.get(), started, stack)
    except BaseException as error:
        try:  # first: to close it may take long, or be cancelled too
            partial = inner and replace(repair_response(inner.get(), call), state="incomplete")
            return call.record_failure(candidate, error, started, partial=partial)
        finally:
            await stack.aclose()
    return Opened(candidate, inner, events, held, stack, started, ttft_ms, idle_s)


async def _silent(
    call: Call,
    candidate: Candidate,
    response: ModelResponse,
    started: float,
    stack: AsyncExitStack,
) -> Failure:
    """Record a stream that ended before its first word: why."""
    reason = Failure.NETWORK if is_cut(response) else reject_end(response) or Failure.EMPTY
    outcome = "failed" if reason is Failure.NETWORK else "rejected"
    call.record.add(candidate.ref, outcome, CheckResult(reason), response=response, started=started)
    await stack.aclose()
    return reason


def is_cut(response: ModelResponse) -> bool:
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
