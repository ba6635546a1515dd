"""Ask models in spite of an open circuit, before a call is refused."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from .call import Call
from .candidates import Candidate
from .failure_kinds import Failure

PAUSES = (0.5, 1, 2)
"""Seconds before each probe of an open circuit, jittered: an outage of a second passes."""


async def half_open(
    call: Call, candidates: Sequence[Candidate]
) -> AsyncIterator[tuple[Candidate, int]]:
    """Yield a candidate to ask, and among how many: first the one whose circuit opened first.

    An outage of a second must not refuse calls that have more time. One request goes out as
    a probe, the others wait for what comes of it. What does not pass by itself within seconds,
    a wrong key or spent credit, is left alone for as long as [circuits] says.
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
        await _join_probe(call, candidate)
        if not call.skip_reason(candidate):
            yield candidate, len(opened)
        if not candidate.unavailable:  # it answered, if not well
            opened.remove(candidate)


async def _join_probe(call: Call, candidate: Candidate) -> None:
    """Wait for the probe that is under way, or make this call the probe."""
    if candidate.probe and not candidate.probe.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(candidate.probe.wait(), call.time.left())
    elif candidate.unavailable is Failure.CIRCUIT_OPEN:
        candidate.allow_probe()
