"""What can go wrong with one attempt, and what a chain does about it.

One closed set of kinds and one table: read it, change it, and every chain follows.
A response can fail as well as a request: empty, cut off, refused.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError
from pydantic_ai import exceptions
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelResponse

from .errors import FleetError
from .fleet import Circuits


class Failure(StrEnum):
    """Why an attempt gave no answer, or was not made; the ledger keeps it as `error_type`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    TIMEOUT = "timeout"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    QUOTA = "quota"
    UNKNOWN_MODEL = "unknown_model"
    MALFORMED = "malformed"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    # Reasons to skip a model:
    NO_KEY = "no_key"
    DATA_CLASS = "data_class"
    NO_CAPABILITY = "no_capability"
    OVER_BUDGET = "over_budget"
    CIRCUIT_OPEN = "circuit_open"
    COOLING_DOWN = "cooling_down"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a chain does after a failure: it always moves on; this says what else."""

    provider_last: bool = False  # the provider's other models move to the end
    retry: bool = False  # ask again, after one pass over all
    trips: bool = False  # counts towards opening the model's circuit
    loud: bool = False  # a mistake of ours, hidden by the fallback: log it once


POLICY: Mapping[str, Policy] = {
    Failure.RATE_LIMITED: Policy(provider_last=True, retry=True),
    Failure.OVERLOADED: Policy(provider_last=True, retry=True, trips=True),
    Failure.NETWORK: Policy(provider_last=True, retry=True, trips=True),
    Failure.TIMEOUT: Policy(provider_last=True, retry=True, trips=True),
    Failure.CONTEXT_TOO_LONG: Policy(),  # and only larger windows are asked from here on
    Failure.CONTENT_FILTER: Policy(provider_last=True),  # or as the chain's `on_content_filter`
    Failure.REFUSAL: Policy(provider_last=True),  # says: stop, or a human
    Failure.BAD_REQUEST: Policy(loud=True),
    Failure.AUTHENTICATION: Policy(provider_last=True, trips=True, loud=True),
    Failure.QUOTA: Policy(provider_last=True, trips=True, loud=True),
    Failure.UNKNOWN_MODEL: Policy(trips=True, loud=True),
    Failure.MALFORMED: Policy(),
    Failure.EMPTY: Policy(),
    Failure.TRUNCATED: Policy(),
    Failure.COOLING_DOWN: Policy(retry=True),
}

NO_POLICY = Policy()
"""What follows a reason that is not in the table: one of a check, or a skip."""

FILTERED = (Failure.CONTENT_FILTER, Failure.REFUSAL)
LOUD = tuple(kind for kind, policy in POLICY.items() if policy.loud)
MAX_COOL_S = 600  # a provider that asks for a longer rest is asked again after this
ALWAYS = ("not_empty", "not_truncated", "not_refusal", "schema")
"""Checks that every completion gets, whether its stage names them or not."""

# The most specific class comes first: several of these derive from each other.
_BY_CLASS: tuple[tuple[type[Exception], Failure], ...] = (
    (exceptions.ModelQuotaExceededError, Failure.QUOTA),
    (exceptions.ModelRateLimitError, Failure.RATE_LIMITED),
    (exceptions.ModelUnavailableError, Failure.OVERLOADED),
    (exceptions.ModelServerError, Failure.OVERLOADED),
    (exceptions.ModelTimeoutError, Failure.TIMEOUT),
    (exceptions.ModelRequestTimeout, Failure.TIMEOUT),
    (exceptions.ModelContextWindowExceededError, Failure.CONTEXT_TOO_LONG),
    (exceptions.ModelAuthenticationError, Failure.AUTHENTICATION),
    (exceptions.ModelNotFoundError, Failure.UNKNOWN_MODEL),
    (exceptions.ModelRequestRejectedError, Failure.BAD_REQUEST),
    (exceptions.ModelConnectionError, Failure.NETWORK),
    (ModelHTTPError, Failure.BAD_REQUEST),
    (ModelAPIError, Failure.NETWORK),
    (TimeoutError, Failure.TIMEOUT),
    (OSError, Failure.NETWORK),
)

# Statuses that say more than the class of their error.
_BY_STATUS: dict[int, Failure] = {
    408: Failure.TIMEOUT,
    409: Failure.OVERLOADED,
    413: Failure.CONTEXT_TOO_LONG,
    424: Failure.OVERLOADED,
    425: Failure.OVERLOADED,
    504: Failure.TIMEOUT,
}

FAILURES = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, ValidationError, OSError)
"""What an attempt raises by design. A client may raise more when a provider sends nonsense."""

# Where a provider's error has no class of its own, its text says what it is. First match wins.
_BY_TEXT = {
    Failure.CONTENT_FILTER: r"content[_ ](policy|filter|management)|responsible_?ai"
    r"|safety (system|policy)|flagged as potentially|blocked by .*(guardrail|safety)"
    r"|prohibited_content",
    Failure.CONTEXT_TOO_LONG: r"context[_ ](length|window|limit)|too many (input )?tokens"
    r"|(prompt|input) is too long|too large for model"
    r"|exceeds the (maximum|model)[^.]* (tokens|context)",
    Failure.AUTHENTICATION: r"api[_ ]key (not valid|not found|is invalid)"
    r"|invalid[_ ](api[_ ]key|x-api-key)|credential|failed to retrieve a token",
    Failure.UNKNOWN_MODEL: r"(invalid|unknown)[_ ]model|model[^.]{0,80} (not exist|not found)"
    r"|on-demand throughput",
    Failure.MALFORMED: r"decode response as JSON|expected a JSON response",
    Failure.QUOTA: r"credit balance|insufficient[_ ](quota|balance|credits)|billing"
    r"|API usage limits",
}
_BY_CODE = {"billing_not_active": Failure.QUOTA}  # says more than its status
# Kinds that a provider's text may make more precise.
_VAGUE = (Failure.BAD_REQUEST, Failure.MALFORMED, Failure.AUTHENTICATION, Failure.NETWORK)

# How a refusal begins, when a model declines in words instead of by its finish reason.
_REFUSAL = re.compile(
    r"\W*((i['\u2019]?m|i am) (very |really )?sorry\W+|sorry\W+|i apologi[sz]e\W+|unfortunately\W+)?"
    r"(but )?(as an ai[^.]{0,60}, )?"
    r"i (can['\u2019]?t|cannot|can not|am not able to|am unable to|won['\u2019]?t|will not|must decline to)"
    r" (assist|help|comply|fulfil|provide|support|engage|continue|do that|create|generate|write|discuss|answer)",
    re.IGNORECASE,
)
_REFUSAL_CHARS = 600  # a longer text is an answer that begins with a reservation
_FINISH = {"length": Failure.TRUNCATED, "content_filter": Failure.CONTENT_FILTER}


def survivable(error: BaseException) -> bool:
    """Whether what a client raised is one model's failure: no mistake of ours, no cancellation."""
    return isinstance(error, Exception) and not isinstance(error, FleetError | UserError)


def of_error(error: BaseException) -> Failure:
    """The kind of a survivable error."""
    kind = next((kind for cls, kind in _BY_CLASS if isinstance(error, cls)), Failure.MALFORMED)
    if isinstance(error, ModelHTTPError):
        kind = _BY_STATUS.get(error.status_code, kind)
        kind = _BY_CODE.get(str(error.provider_error_code), kind)
    if kind not in _VAGUE:
        return kind
    # The text of an HTTP error tells our own name of the model, too.
    told = "" if isinstance(error, ModelHTTPError) else str(error)
    if isinstance(error, ModelAPIError):
        told += f" {error.provider_error_code} {error.provider_error_type} {error.body}"
    return next((k for k, text in _BY_TEXT.items() if re.search(text, told, re.IGNORECASE)), kind)


def of_response(response: ModelResponse, *, may_refuse: bool = False) -> Failure | None:
    """Why a completion that arrived is no answer, or None when it may be one."""
    cut = _FINISH.get(response.finish_reason or "")
    if cut or response.tool_calls:
        return cut
    text = (response.text or "").strip()
    if not text:
        return Failure.EMPTY
    if not may_refuse and len(text) <= _REFUSAL_CHARS and _REFUSAL.match(text):
        return Failure.REFUSAL
    return None


class Health:
    """When a model is left alone, for all chains alike.

    It rests while its provider's Retry-After lasts, or while its circuit is open: after failures
    in a row, until a pause is over and one request, the probe, has gone through.
    """

    def __init__(self, circuits: Circuits | None = None) -> None:
        self.rest_until = 0.0  # on the monotonic clock
        self._rests_as = Failure.COOLING_DOWN
        self._failures = 0
        self._circuits = circuits or Circuits()

    @property
    def resting(self) -> Failure | None:
        return self._rests_as if time.monotonic() < self.rest_until else None

    def asked(self) -> None:
        """A request goes out: if it is the probe, no second one follows it."""
        if self._failures >= self._circuits.failures:
            self._rest(Failure.CIRCUIT_OPEN, self._circuits.open_s)

    def succeeded(self) -> None:
        self._failures, self.rest_until = 0, 0.0

    def failed(self, failure: Failure, error: BaseException) -> None:
        """Learn from a failure: rest if it was one too many, or as long as the provider says."""
        self._failures += POLICY[failure].trips
        self.asked()
        if isinstance(error, ModelAPIError) and error.retry_after:
            self._rest(Failure.COOLING_DOWN, min(error.retry_after, MAX_COOL_S))

    def _rest(self, reason: Failure, seconds: float) -> None:
        self._rests_as, self.rest_until = reason, time.monotonic() + seconds
