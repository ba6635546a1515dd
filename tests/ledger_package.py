"""A rendered workspace's ledger, importable, and rows for it."""

import importlib
import math
import os
import random
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import harness


@contextmanager
def importable(folder: Path, name: str, **answers: Any) -> Iterator[str]:
    """Render a small workspace whose package is `name`, on the path while this lasts."""
    harness.render_workspace(folder, {**harness.BARE, "package": name, **answers})
    sys.path.insert(0, str(folder / "src"))
    try:
        yield name
    finally:
        sys.path.remove(str(folder / "src"))


PARTS = ("attempt", "rollup", "sqlite", "location", "spill", "writer")


class Parts:
    """Modules of a rendered ledger as one namespace for tests.

    A name that is set is set in each module that has it.
    """

    def __init__(self, package: str, names: Sequence[str] = PARTS) -> None:
        parts = [importlib.import_module(f"{package}.runtime.ledger.{name}") for name in names]
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_before", {})

    def __getattr__(self, name: str) -> Any:
        for part in self._parts:
            if hasattr(part, name):
                return getattr(part, name)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        for part in self._parts:
            if hasattr(part, name):
                self._before.setdefault((part, name), getattr(part, name))
                setattr(part, name, value)

    def __delattr__(self, name: str) -> None:
        for part in self._parts:
            if (part, name) in self._before:
                setattr(part, name, self._before.pop((part, name)))


def module(package: str, name: str) -> Any:
    """`runtime.ledger.<name>` of a rendered package; `store` is all that writes and reads it."""
    if name == "store":
        return Parts(package)
    return importlib.import_module(f"{package}.runtime.ledger.{name}")


def start(
    folder: Path, code: str, *words: object, within: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Run Python code in a process of its own that knows the rendered package and these tests.

    `within` is a program that runs it.
    """
    return subprocess.Popen(
        [*within, sys.executable, "-c", code, *map(str, words)],
        env={
            **os.environ,
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{Path(__file__).parents[1]}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WRITE = """
import asyncio, importlib, pathlib, sys
from tests.ledger_package import module, row

store = module(sys.argv[2], "store")

async def caller(ledger):
    while True:
        one = row(store)
        await ledger.write([one])
        print(one.call_id, flush=True)

async def play():
    ledger = store.Ledger(pathlib.Path(sys.argv[1]))
    await asyncio.gather(*[caller(ledger) for _ in range(16)])

asyncio.run(play())
"""


def write_until_killed(folder: Path, package: str, path: Path, times: int) -> set[str]:
    """Write until kill -9, at random moments; return the calls that were known to be committed."""
    acknowledged: set[str] = set()
    for _ in range(times):
        process = start(folder, WRITE, path, package)
        assert process.stdout
        first = process.stdout.readline()
        assert first, process.communicate(timeout=10)
        time.sleep(random.random() / 5)
        process.kill()
        out, _ = process.communicate(timeout=10)
        # The last line may be cut: the process was killed while it printed.
        acknowledged |= {line for line in (first + out).split("\n")[:-1] if len(line) == 32}
    return acknowledged


def row(store: Any, **given: Any) -> Any:
    """Make an attempt that answered, with the values that a test cares about."""
    usual = {
        "ts_us": time.time_ns() // 1000,
        "latency_ms": 120,
        "call_id": store.new_id(),
        "run_id": "run",
        "provider": "openai",
        "request_model": "gpt-5-nano",
        "task_type": "classification",
        "stage": "classify",
        "chain": "cheap",
        "attempt": 1,
        "outcome": "ok",
        "input_tokens": 1000,
        "output_tokens": 200,
        "cost_nano_usd": 130_000,
        "cost_source": "list",
    }
    return store.Attempt(**{**usual, **given})


def call(id_: str, messages: list[Any]) -> Any:
    """Make what is read of a call when its texts are stored."""
    return SimpleNamespace(id=id_, messages=messages)


def fold(store: Any, rows: Iterable[Any]) -> dict[tuple[Any, ...], dict[str, int]]:
    """Add rows up as the rollup does, one by one: its key -> counters."""
    rollup: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in rows:
        key = (row.ts_us // store.DAY_US, row.environment, "", row.task_type, row.provider)
        key += (row.deployment or "", row.request_model, row.chain, row.pipeline or "", row.stage)
        _add(store, row, rollup.setdefault(key, dict.fromkeys(store.COUNTERS, 0)))
    return rollup


def _add(store: Any, row: Any, total: dict[str, int]) -> None:
    outcome = row.outcome
    total["calls"] += row.attempt == 1
    if outcome in store.OUTCOMES:
        total[outcome] += 1
    total["fallbacks"] += outcome == "ok" and row.attempt > 1
    if outcome not in ("skipped", "escalated", "answered"):
        total["attempts"] += 1
        for name in store.TOKENS:
            total[name] += getattr(row, name) or 0
        if outcome != "aborted":
            total["latency_ms"] += row.latency_ms
            total[store.BUCKETS[bisect_left(store.BOUNDS_MS, row.latency_ms)]] += 1
            counted = row.input_tokens is not None and row.output_tokens is not None
            is_free = row.cost_nano_usd is None and not counted
            total["unmeasured"] += outcome != "failed" and is_free
    if row.cost_source == "unpriced":
        total["unpriced"] += 1
    elif row.cost_source != "none":
        cost = row.cost_nano_usd or 0
        total["priced"] += 1
        total["cost_nano_usd"] += cost
        total["wasted_nano_usd"] += cost if outcome in ("failed", "rejected", "aborted") else 0
    if row.quality is not None:
        total["quality_n"] += 1
        total["quality_milli"] += math.floor(row.quality * 1000 + 0.5)
