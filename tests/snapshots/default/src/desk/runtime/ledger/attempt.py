"""One row of the ledger: an attempt of a call to a chain.

The names of the columns follow OpenTelemetry's conventions for generative AI, in snake case.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any

from ..errors import LedgerError
from ..redaction import redact_secrets

NANO = 10**9
"""Costs are in 10⁻⁹ US dollars: whole numbers that add up exactly."""
DAY_S = 24 * 3600
DAY_US = DAY_S * 1_000_000
MOST_TOKENS = 10**12

DEMO = "demo"
"""The `environment` of recorded runs, which are shown apart and never part of a budget."""


class Outcome(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    FAILED = "failed"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    ESCALATED = "escalated"
    ABORTED = "aborted"
    ANSWERED = "answered"


NOT_DELIVERED = "not_delivered"
"""The `error_type` of a good answer that a better one of the same run replaced."""


class RowsRefused(LedgerError):
    """The rows themselves are wrong: a required column is empty, or a number is too large."""


def new_id() -> str:
    """Return 32 hexadecimal digits that sort by time: 12 of milliseconds, 20 random ones."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt. None means not reported: tokens that were not counted are never 0.

    `outcome` is an Outcome; a ledger of a newer release may have others. `cost_nano_usd` None with
    `cost_source` "unpriced" is not free. Cached and reasoning tokens are parts of input and
    output, not additions to them.
    """

    ts_us: int
    latency_ms: int = 0
    ttft_ms: int | None = None
    call_id: str
    run_id: str
    parent_id: str | None = None
    operation: str = "chat"
    provider: str
    deployment: str | None = None
    request_model: str
    response_model: str | None = None
    provider_request_id: str | None = None
    service_tier: str | None = None
    agent: str | None = None
    task_type: str
    pipeline: str | None = None
    stage: str
    chain: str
    attempt: int
    fallback_from: str | None = None
    outcome: str
    error_type: str | None = None
    quality: float | None = None
    quality_source: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    other_units: str | None = None
    cost_nano_usd: int | None = None
    cost_source: str = "none"
    price_version: str | None = None
    prompt_version: str | None = None
    config_version: str | None = None
    environment: str = "production"
    user_ref: str | None = None
    tags: str = "{}"

    def __post_init__(self) -> None:
        # A provider's miscount counts as not reported: it must not lower a sum or overflow a column.
        for name in TOKENS:
            if not 0 <= (getattr(self, name) or 0) < MOST_TOKENS:
                setattr(self, name, None)
        for name in FROM_PROVIDER:  # a gateway may echo a key
            if text := getattr(self, name):
                setattr(self, name, redact_secrets(text))


FROM_PROVIDER = ("response_model", "provider_request_id", "service_tier")
VERDICT = ("outcome", "error_type", "quality", "quality_source")
"""The columns that are known only after a completion was examined."""
COLUMNS = tuple(column.name for column in fields(Attempt))
TOKENS = tuple(name for name in COLUMNS if name.endswith("_tokens"))
values_of: Callable[[Attempt], tuple[Any, ...]] = attrgetter(*COLUMNS)
