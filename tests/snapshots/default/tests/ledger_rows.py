"""Rows for ledgers of tests, and how they are written."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from desk.runtime.ledger.attempt import Attempt, new_id
from desk.runtime.ledger.location import LedgerSettings
from desk.runtime.ledger.writer import Ledger


def row(**values: Any) -> Attempt:
    """Make an attempt that was answered, with these values."""
    usual: dict[str, Any] = {
        "ts_us": time.time_ns() // 1000,
        "latency_ms": 120,
        "call_id": new_id(),
        "run_id": "run",
        "provider": "openai",
        "request_model": "small",
        "task_type": "answering",
        "stage": "answer",
        "chain": "main",
        "attempt": 1,
        "outcome": "ok",
        "input_tokens": 1000,
        "output_tokens": 200,
        "cost_nano_usd": 130_000,
        "cost_source": "list",
    }
    return Attempt(**{**usual, **values})


def play(path: Path, use: Callable[[Ledger], Any], **settings: Any) -> Any:
    """Use a ledger and close it."""

    async def run() -> Any:
        ledger = Ledger(path, LedgerSettings(**settings))
        try:
            return await use(ledger)
        finally:
            ledger.close()

    return asyncio.run(run())


def write(path: Path, *batches: Sequence[Attempt], **settings: Any) -> None:
    """Write batches at once."""

    async def use(ledger: Ledger) -> None:
        await asyncio.gather(*map(ledger.write, batches))

    play(path, use, **settings)
