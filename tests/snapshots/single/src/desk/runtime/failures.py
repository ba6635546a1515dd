"""What can go wrong with one attempt, and what a chain does about it.

One closed set of kinds and one table: read it, change it, and every chain follows.
A response can fail as well as a request: empty, truncated, refused.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelResponse


class Failure(StrEnum):
    """Why an attempt gave no answer; the ledger keeps it as `error_type`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    TIMEOUT = "timeout"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    UNKNOWN_MODEL = "unknown_model"
    MALFORMED = "malformed"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    NO_KEY = "no_key"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a chain does after a failure: it always moves on; this says what else."""

    same_provider: str  # "keep" its other models in place, or move them "last"
    loud: bool = False  # a mistake of ours, hidden by the fallback: log it once


POLICY: dict[Failure, Policy] = {
    Failure.RATE_LIMITED: Policy("last"),
    Failure.OVERLOADED: Policy("last"),
    Failure.NETWORK: Policy("last"),
    Failure.TIMEOUT: Policy("last"),
    Failure.CONTEXT_TOO_LONG: Policy("keep"),
    Failure.CONTENT_FILTER: Policy("last"),
    Failure.REFUSAL: Policy("last"),
    Failure.BAD_REQUEST: Policy("keep", loud=True),
    Failure.AUTHENTICATION: Policy("last", loud=True),
    Failure.UNKNOWN_MODEL: Policy("keep", loud=True),
    Failure.MALFORMED: Policy("keep"),
    Failure.EMPTY: Policy("keep"),
    Failure.TRUNCATED: Policy("keep"),
    Failure.NO_KEY: Policy("keep"),
}

# The most specific class comes first: several of these derive from each other.
_BY_CLASS: tuple[tuple[type[Exception], Failure], ...] = (
    (ModelRateLimitError, Failure.RATE_LIMITED),
    (ModelQuotaExceededError, Failure.RATE_LIMITED),
    (ModelUnavailableError, Failure.OVERLOADED),
    (ModelServerError, Failure.OVERLOADED),
    (ModelTimeoutError, Failure.TIMEOUT),
    (ModelRequestTimeout, Failure.TIMEOUT),
    (TimeoutError, Failure.TIMEOUT),
    (ModelConnectionError, Failure.NETWORK),
    (ModelContextWindowExceededError, Failure.CONTEXT_TOO_LONG),
    (ModelAuthenticationError, Failure.AUTHENTICATION),
    (ModelNotFoundError, Failure.UNKNOWN_MODEL),
    (ModelRequestRejectedError, Failure.BAD_REQUEST),
    (ValidationError, Failure.MALFORMED),
    (UnexpectedModelBehavior, Failure.MALFORMED),
    (ModelAPIError, Failure.NETWORK),
)

FAILURES = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, ValidationError)
"""What an attempt may raise and the chain survives; anything else is a bug and passes through."""

_FINISH: dict[str, Failure] = {
    "length": Failure.TRUNCATED,
    "content_filter": Failure.CONTENT_FILTER,
}


def of_error(error: Exception) -> Failure:
    """The kind of an exception from `FAILURES`."""
    return next(kind for cls, kind in _BY_CLASS if isinstance(error, cls))


def of_response(response: ModelResponse) -> Failure | None:
    """Why a completion that arrived is no answer, or None when it may be one."""
    if cut := _FINISH.get(response.finish_reason or ""):
        return cut
    if not (response.tool_calls or (response.text or "").strip()):
        return Failure.EMPTY
    return None
