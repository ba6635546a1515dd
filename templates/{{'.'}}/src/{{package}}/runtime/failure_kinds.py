"""The kinds of failure of an attempt, and what a chain does after each."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Policy:
    """What a chain does after a failure, besides asking the next model."""

    provider_last: bool = False
    """The provider's other models move to the end."""
    retry: bool = False
    """Ask again, after one pass over all."""
    trips: bool = False
    """Counts towards opening the model's circuit."""
    alert: bool = False
    """A mistake of the team's that the fallback hides: log it once."""


class Failure(StrEnum):
    """Why an attempt gave no answer, or was not made; the ledger keeps it as `error_type`."""

    policy: Policy

    def __new__(cls, name: str, policy: Policy = Policy()) -> "Failure":
        self = str.__new__(cls, name)
        self._value_, self.policy = name, policy
        return self

    RATE_LIMITED = "rate_limited", Policy(provider_last=True, retry=True)
    OVERLOADED = "overloaded", Policy(provider_last=True, retry=True, trips=True)
    NETWORK = "network", Policy(provider_last=True, retry=True, trips=True)
    TIMEOUT = "timeout", Policy(provider_last=True, retry=True, trips=True)
    CONTEXT_TOO_LONG = "context_too_long"  # only larger windows are asked from here on
    REQUEST_TOO_LARGE = "request_too_large", Policy(alert=True)  # for the account's limits
    CONTENT_FILTER = "content_filter", Policy(provider_last=True)  # or as `on_content_filter`
    REFUSAL = "refusal", Policy(provider_last=True)  # of the chain says: stop, or a person
    BAD_REQUEST = "bad_request", Policy(alert=True)
    AUTHENTICATION = "authentication", Policy(provider_last=True, trips=True, alert=True)
    QUOTA = "quota", Policy(provider_last=True, trips=True, alert=True)
    UNKNOWN_MODEL = "unknown_model", Policy(trips=True, alert=True)
    MALFORMED = "malformed"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    BROKEN_OFF = "broken_off", Policy(provider_last=True, retry=True)  # does not say it is whole
    UNINVITED_TOOL = "uninvited_tool", Policy(retry=True)  # called a tool that was not offered
    PROMPT_CUT = "prompt_cut", Policy(alert=True)  # the server read only a part of the prompt
    # Reasons to skip a model:
    NO_KEY = "no_key"
    DATA_CLASS = "data_class"
    NO_CAPABILITY = "no_capability"
    OVER_BUDGET = "over_budget"
    CIRCUIT_OPEN = "circuit_open"
    COOLING_DOWN = "cooling_down", Policy(retry=True)
    BUSY = "busy"  # no slot came free in its share of the time
    # Trouble of this machine, which says nothing about a model:
    EXHAUSTED = "machine_exhausted", Policy(retry=True, alert=True)
    STALLED = "stalled", Policy(retry=True)


FILTERED = (Failure.CONTENT_FILTER, Failure.REFUSAL)
ALERTS = tuple(kind for kind in Failure if kind.policy.alert)
ALWAYS = ("not_empty", "not_truncated", "not_refusal", "schema")
"""Checks that every completion gets, whether its stage names them or not."""
