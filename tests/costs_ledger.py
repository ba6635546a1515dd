"""Ledgers whose truth is known: groups of like attempts, so many days ago."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ledger_package import row

DAY_US = 86_400_000_000
NOON_US = DAY_US // 2
DEAR, CHEAP, OTHER = "claude-opus-5-5", "gpt-6-luna", "claude-haiku-5-5"
PROVIDERS = {DEAR: "anthropic", CHEAP: "openai", OTHER: "anthropic"}


def today() -> int:
    return int(time.time() // 86_400)


def attempts(store: Any, count: int, *, days_ago: int = 1, **given: Any) -> list[Any]:
    """`count` like attempts at noon of one day; `model` stands for its provider too."""
    model = given.pop("model", DEAR)
    noon = (today() - days_ago) * DAY_US + NOON_US
    usual = {"request_model": model, "provider": PROVIDERS.get(model, "own"), "chain": "main"}
    return [row(store, ts_us=noon + at, **{**usual, **given}) for at in range(count)]


def write(store: Any, path: Path, *groups: Sequence[Any]) -> Path:
    """Write a ledger of these attempts."""
    database = store.connect(path)
    try:
        database.write([attempt for group in groups for attempt in group])
    finally:
        database.close()
    return path


def company(store: Any, path: Path) -> Path:
    """Twelve weeks of a support desk: cheap and dear models, failures, a spike, an unpriced one."""
    groups: list[list[Any]] = []
    for day in range(84):
        grown = 100 - day // 2
        groups += [
            attempts(
                store,
                grown,
                days_ago=day,
                model=DEAR,
                task_type="classification",
                chain="hard",
                input_tokens=420,
                output_tokens=24,
                cost_nano_usd=2_700_000,
                latency_ms=900 + day,
            ),
            attempts(
                store,
                grown * 2,
                days_ago=day,
                model=OTHER,
                task_type="classification",
                chain="cheap",
                input_tokens=410,
                output_tokens=22,
                cost_nano_usd=52_000,
                latency_ms=240,
            ),
            attempts(
                store,
                grown // 2,
                days_ago=day,
                model=DEAR,
                task_type="answering",
                chain="hard",
                input_tokens=2100,
                output_tokens=640,
                cost_nano_usd=26_500_000,
                latency_ms=4100,
            ),
            attempts(
                store,
                grown,
                days_ago=day,
                model=CHEAP,
                task_type="answering",
                chain="cheap",
                input_tokens=1900,
                output_tokens=320,
                cost_nano_usd=350_000,
                latency_ms=1100,
            ),
            attempts(
                store,
                8,
                days_ago=day,
                model=CHEAP,
                task_type="answering",
                chain="cheap",
                outcome="rejected",
                error_type="truncated",
                cost_nano_usd=350_000,
                latency_ms=1300,
            ),
            attempts(
                store,
                30,
                days_ago=day,
                model=OTHER,
                task_type="drafting",
                chain="cheap",
                output_tokens=500,
                cost_nano_usd=300_000,
            ),
            attempts(
                store,
                14,
                days_ago=day,
                model=DEAR,
                task_type="rewriting",
                chain="hard",
                output_tokens=700,
                cost_nano_usd=19_000_000,
                latency_ms=6200,
            ),
            attempts(
                store,
                40 if day > 7 else 120,
                days_ago=day,
                model="claude-sonnet-5-5",
                provider="anthropic",
                task_type="extraction",
                chain="mid",
                input_tokens=6000,
                output_tokens=900,
                cost_nano_usd=22_000_000,
                latency_ms=5200,
            ),
            attempts(
                store,
                5,
                days_ago=day,
                model="own-tuned",
                task_type="extraction",
                chain="own",
                cost_nano_usd=None,
                cost_source="unpriced",
                latency_ms=80,
            ),
        ]
    return write(store, path, *groups)
