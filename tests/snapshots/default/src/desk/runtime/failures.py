"""What can go wrong with one attempt, what a chain does about it, and the health of a model.

One closed set of kinds and one table: read it, change it, and every chain follows.
A response can fail as well as a request: empty, cut off, refused.
"""

import asyncio
import logging
import math
import re
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import isawaitable
from typing import Any

from pydantic import ValidationError
from pydantic_ai import exceptions
from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.profiles import ModelProfile

from .errors import FleetError, SettingsError, exhausted, explain
from .false_success import unmask_errors
from .fleet import Circuits, ModelRef
from .refusals import refuses
from .replies import kind_of
from .retry_after import retry_after_s
from .stalls import Stalled

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a chain does after a failure: it always moves on; this says what else."""

    provider_last: bool = False  # the provider's other models move to the end
    retry: bool = False  # ask again, after one pass over all
    trips: bool = False  # counts towards opening the model's circuit
    loud: bool = False  # a mistake of ours, hidden by the fallback: log it once


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
    CONTEXT_TOO_LONG = "context_too_long"  # and only larger windows are asked from here on
    REQUEST_TOO_LARGE = "request_too_large", Policy(loud=True)  # for the account's limits
    CONTENT_FILTER = "content_filter", Policy(provider_last=True)  # or as the chain's
    REFUSAL = "refusal", Policy(provider_last=True)  # `on_content_filter` says: stop, or a human
    BAD_REQUEST = "bad_request", Policy(loud=True)
    AUTHENTICATION = "authentication", Policy(provider_last=True, trips=True, loud=True)
    QUOTA = "quota", Policy(provider_last=True, trips=True, loud=True)
    UNKNOWN_MODEL = "unknown_model", Policy(trips=True, loud=True)
    MALFORMED = "malformed"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    BROKEN_OFF = "broken_off", Policy(provider_last=True, retry=True)  # it does not say it is whole
    UNINVITED_TOOL = "uninvited_tool", Policy(retry=True)  # it called a tool that was not offered
    PROMPT_CUT = "prompt_cut", Policy(loud=True)  # the server read a part of the prompt only
    # Reasons to skip a model:
    NO_KEY = "no_key"
    DATA_CLASS = "data_class"
    NO_CAPABILITY = "no_capability"
    OVER_BUDGET = "over_budget"
    CIRCUIT_OPEN = "circuit_open"
    COOLING_DOWN = "cooling_down", Policy(retry=True)
    BUSY = "busy"  # no slot came in its share of the time; what is left would be too little for it
    # Troubles of this machine, which say nothing about a model:
    EXHAUSTED = "machine_exhausted", Policy(retry=True, loud=True)
    STALLED = "stalled", Policy(retry=True)


FILTERED = (Failure.CONTENT_FILTER, Failure.REFUSAL)
LOUD = tuple(kind for kind in Failure if kind.policy.loud)
PER_CLIENT = 10  # requests at once: a client looks at all its idle connections for each of them
MAX_COOL_S = 600  # a provider that asks for a longer rest is asked again after this
ALWAYS = ("not_empty", "not_truncated", "not_refusal", "schema")
"""Checks that every completion gets, whether its stage names them or not."""

FAILURES = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, ValidationError, OSError)
"""What an attempt raises by design. A client may raise more when a provider sends nonsense."""
OF_ANSWERS = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, ValidationError)
"""What the examination of an answer raises by design; a file that a check misses is a mistake."""

# How an error without a reply is recognised: by its class, first match wins, for several derive
# from each other.
_BY_CLASS = {
    Failure.NO_CAPABILITY: (UserError, NotImplementedError),  # the library's: nothing was sent
    Failure.STALLED: Stalled,
    Failure.TIMEOUT: (exceptions.ModelTimeoutError, exceptions.ModelRequestTimeout, TimeoutError),
    Failure.NETWORK: (ModelAPIError, OSError),
}
# A cloud's own login that failed, before anything was sent: of boto3, azure-identity, google-auth.
_LOGIN = re.compile("Credential|TokenRetrieval|ClientAuthentication|RefreshError|SSO")

# Why it stopped, as pydantic-ai names it; and, where it has no name for that, as the provider does.
# None: by itself. Whatever is in neither table broke off. docs/chains.md has the sources.
_FINISH = {
    "stop": None,
    "tool_call": None,
    "length": Failure.TRUNCATED,
    "content_filter": Failure.CONTENT_FILTER,
    "error": Failure.BROKEN_OFF,
}
_RAW_FINISH = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "stop_token"), None),
    **dict.fromkeys(("end", "complete", "completed", "finished", "stop", "normal"), None),
    **dict.fromkeys(("tool_call", "tool_calls", "tool_use", "function_call"), None),
    **dict.fromkeys(("max_tokens", "max_length", "max_output_tokens"), Failure.TRUNCATED),
    **dict.fromkeys(("length", "token_limit", "model_length", "error_limit"), Failure.TRUNCATED),
    "model_context_window_exceeded": Failure.TRUNCATED,
    **dict.fromkeys(("safety", "sensitive", "guardrail_intervened"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("recitation", "image_recitation", "refusal"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("content_filter", "content_filtered", "spii"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("blocklist", "prohibited_content", "error_toxic"), Failure.CONTENT_FILTER),
}


def of_error(error: BaseException) -> Failure | None:
    """The kind of a model's failure; None for what is none: a mistake of ours, a cancellation."""
    if not isinstance(error, Exception) or isinstance(error, FleetError):
        return None
    if exhausted(error):
        return Failure.EXHAUSTED
    if any(_LOGIN.search(type(one).__name__) for one in (error, error.__cause__)):
        return Failure.AUTHENTICATION
    if not isinstance(error, exceptions.ModelConnectionError) and (name := kind_of(error)):
        return Failure(name)
    found = (kind for kind, classes in _BY_CLASS.items() if isinstance(error, classes))
    return next(found, Failure.MALFORMED)


def of_response(response: ModelResponse, *, may_refuse: bool = False) -> Failure | None:
    """Why a completion that arrived is no answer, or None when it may be one."""
    unfinished = of_finish(response)
    if unfinished or response.tool_calls:
        return unfinished
    text = (response.text or "").strip()
    if not text:
        return Failure.EMPTY
    if not may_refuse and refuses(text):
        return Failure.REFUSAL
    return None


def refused(response: ModelResponse) -> bool:
    """Whether a typed answer has nothing but a refusal in it."""
    return any(refuses(call.args_as_json_str()) for call in response.tool_calls)


def of_finish(response: ModelResponse) -> Failure | None:
    """Why a completion is not whole; None where it says that it stopped by itself.

    A body that gives no reason is whole in OpenAI's format, where servers leave it out (pydantic-ai
    calls it "stop"), and where no server was asked; every other provider always gives one.
    """
    details = response.provider_details or {}
    raw = str(details.get("finish_reason") or "")
    if error := details.get("error"):  # OpenAI's format, after a part of the answer
        return of_error(ModelAPIError("", "", body=error))
    if response.finish_reason:
        return _FINISH.get(response.finish_reason, Failure.BROKEN_OFF)
    if not raw and not response.provider_url:
        return None
    return _RAW_FINISH.get(raw.lower(), Failure.BROKEN_OFF)


@dataclass(eq=False)
class Candidate:
    """One model, shared by the chains that name it: its clients, its free slots, its health.

    `window` is the number of tokens its context window holds, if known. It rests while its
    provider's Retry-After lasts, or while its circuit is open: after failures in a row, until a
    pause is over and one request, the probe, has gone through.
    """

    ref: ModelRef
    build: Callable[[], Model]
    missing_keys: tuple[str, ...] = ()
    window: int | None = None
    circuits: Circuits = field(default_factory=Circuits)
    gate: AbstractAsyncContextManager[Any] = field(default_factory=nullcontext[None])
    rest_until: float = field(default=0, init=False)  # on the monotonic clock
    opened_at: float = field(default=math.inf, init=False)  # its circuit, by what may pass soon
    probe: asyncio.Event | None = field(default=None, init=False)  # set when a probe has ended
    _rests_as: Failure = field(default=Failure.COOLING_DOWN, init=False)
    _failures: int = field(default=0, init=False)
    _told: set[Failure] = field(default_factory=set[Failure], init=False)
    _clients: list[Model] = field(default_factory=list[Model], init=False)
    _in_flight: int = field(default=0, init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    async def load(self) -> None:
        """Open its first client; an import of a second or two, for which an outage has no time."""
        if not (self._clients or self.missing_keys):
            await self._open()

    @property
    def profile(self) -> ModelProfile:
        """What the model can do, once it is loaded."""
        return self._clients[0].profile

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Model]:
        """A client of it, once a slot is free, which `close` closes.

        Raises TimeoutError where it rests by then.
        """
        async with self.gate:
            if self.resting:  # since the call began to wait here
                raise TimeoutError
            probe = asyncio.Event() if self._open_circuit() else None
            self.probe = probe or self.probe
            at = self._in_flight // PER_CLIENT
            self._in_flight += 1
            try:
                yield self._clients[at] if at < len(self._clients) else await self._open()
            finally:
                self._in_flight -= 1
                if probe:
                    probe.set()

    async def _open(self) -> Model:
        try:
            model = self.build()
            unmask_errors(model)
            model = _observed(model)
        except Exception as error:  # whatever an SDK raises, it is no outage
            ours = exhausted(error)
            way = f"{explain(ours)}." if ours else "see `doctor`, run `uv sync`."
            told = f"{self.ref} cannot be set up ({error}): {way}"
            raise SettingsError(told) from error
        self._clients.append(model)
        self._stack.push_async_callback(_hang_up, model)
        return await self._stack.enter_async_context(model)

    async def close(self) -> None:
        self._clients.clear()
        await self._stack.aclose()

    @property
    def resting(self) -> Failure | None:
        return self._rests_as if time.monotonic() < self.rest_until else None

    def succeeded(self) -> None:
        """Close its circuit; a Retry-After that another request got meanwhile still holds."""
        self._failures, self.opened_at = 0, math.inf
        if self._rests_as is Failure.CIRCUIT_OPEN:
            self.rest_until = 0.0

    def half_open(self) -> None:
        """Let one request through although its circuit is open."""
        self.rest_until = 0.0

    def failed(self, failure: Failure, error: BaseException) -> None:
        """Learn from a failure; a mistake of ours, which the fallback hides, is told once."""
        policy = failure.policy
        self._failures += policy.trips
        if self._open_circuit() and policy.trips:
            self.opened_at = math.inf if policy.loud else time.monotonic()
        wait = min(retry_after_s(error), MAX_COOL_S)
        # Spent credit does not come back when a rate limit ends, of which the same reply may speak.
        is_open_longer = policy.loud and time.monotonic() + wait < self.rest_until
        is_its_own = policy.retry or policy.trips  # else the request is at fault
        if wait > 0 and is_its_own and not is_open_longer:
            self._rest(Failure.COOLING_DOWN, wait)
        if failure not in self._told and (policy.loud or not isinstance(error, FAILURES)):
            self._told.add(failure)
            ours = exhausted(error)
            told = explain(ours) if ours else error
            log.warning("%s: %s (%s); chains go on without it", self.ref, failure, told)

    def _open_circuit(self) -> bool:
        """After failures in a row, and as the probe goes out: no second one follows it."""
        opens = self._failures >= self.circuits.failures
        if opens:
            self._rest(Failure.CIRCUIT_OPEN, self.circuits.open_s)
        return opens

    def _rest(self, reason: Failure, seconds: float) -> None:
        self._rests_as, self.rest_until = reason, time.monotonic() + seconds


def _observed(model: Model) -> Model:
    """With a span per attempt, without its texts, where the program has set up a tracer."""
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is None:
        return model
    from opentelemetry.trace import get_tracer_provider
    from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

    if not isinstance(get_tracer_provider(), sdk.TracerProvider):
        return model  # somebody only imported it
    return InstrumentedModel(model, InstrumentationSettings(include_content=False))


async def _hang_up(model: Model) -> None:
    # pydantic-ai closes the clients it made itself, not one that a provider was given.
    client: Any = model.provider and model.provider.client
    closing = client.close() if hasattr(client, "close") else None
    if isawaitable(closing):
        await closing
