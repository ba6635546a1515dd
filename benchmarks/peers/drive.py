"""What every contender is put through: one call per fault, then many calls at once.

A contender gives `make(port, primary, **options)`: an async function that asks once, of the model
`primary` in OpenAI's format and then of `ok` in Anthropic's, with `timeout_s` for an attempt;
`stream` asks for a stream. Results go to standard output as one JSON object. Nothing but the standard library is imported here: it
runs in the contender's environment.
"""

import asyncio
import json
import logging
import resource
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

Ask = Callable[[], Awaitable[str]]
Make = Callable[..., AbstractAsyncContextManager[Ask]]

GOOD = "Paris is the capital of France, and has been for most of a thousand years."
FAULTS = {
    "503": "status-503",
    "429, Retry-After 2": "retry-after",
    "hangs, timeout 2 s": "hang",
    "401": "status-401",
    "200, empty": "empty",
    "200, truncated": "truncated",
    "200, a refusal": "refusal",
    "stream cut after 10 tokens": "cut-stream",
}
AT_ONCE = 100
PATIENCE_S = 30


def run(make: Make, package: str) -> None:
    """`python -m benchmarks.peers.NAME PORT CALLS`: measure and print; CALLS 0 skips the load."""
    logging.disable(logging.CRITICAL)
    port, calls = int(sys.argv[1]), int(sys.argv[2])
    result: dict[str, Any] = {"package": f"{package} {version(package)}", "faults": {}}
    if calls:
        asyncio.run(_load(make, port, calls, result))
    started = time.perf_counter()
    asyncio.run(_faults(make, port, result["faults"]))
    result["faults_s"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result))


async def _faults(make: Make, port: int, told: dict[str, Any]) -> None:
    for name, primary in FAULTS.items():
        async with make(port, "ok", stream=False, timeout_s=60) as warm:
            await warm()  # imports and connections are not what is measured
        _control(port, "forget")
        async with make(port, primary, stream="stream" in name, timeout_s=2) as ask:
            started = time.perf_counter()
            try:
                text = await asyncio.wait_for(ask(), PATIENCE_S)
                outcome = "second model answered" if text == GOOD else f"returned {text[:30]!r}"
            except Exception as error:
                outcome = f"raises {type(error).__name__}"
            seconds = time.perf_counter() - started
        hits = await asyncio.to_thread(_control, port, "seen")
        told[name] = {
            "seconds": round(seconds, 3),
            "hits": hits["hits"].get(primary, 0),
            "outcome": outcome,
        }


async def _load(make: Make, port: int, calls: int, result: dict[str, Any]) -> None:
    async with make(port, "ok", stream=False, timeout_s=60) as ask:
        await _many(ask, 2 * AT_ONCE)
        rounds: list[tuple[float, float]] = []
        for _ in range(5):
            cpu, wall = time.process_time(), time.perf_counter()
            await _many(ask, calls)
            rounds.append(
                ((time.process_time() - cpu) / calls, calls / (time.perf_counter() - wall))
            )
    # The least: whatever else the machine does only adds to it.
    result["cpu_ms"] = 1000 * min(cpu for cpu, _ in rounds)
    result["rate"] = max(rate for _, rate in rounds)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _many(ask: Ask, calls: int) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            assert await ask() == GOOD

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _control(port: int, word: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{word}", b"{}")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


async def joined(stream: AsyncIterator[str]) -> str:
    """Return the text of a stream of pieces."""
    return "".join([piece async for piece in stream])
