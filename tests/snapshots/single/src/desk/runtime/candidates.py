"""Keep what is known of one model: its client, and when it may be asked."""

import asyncio
import logging
import math
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.profiles import ModelProfile

from .errors import SettingsError, find_exhaustion, find_remedy
from .failure_kinds import Failure
from .failures import EXPECTED
from .fleet import Circuits, ModelRef
from .retry_after import retry_after_s

log = logging.getLogger(__name__)

REQUESTS_PER_CLIENT = 10  # a client looks at all its idle connections for each request
MAX_COOLDOWN_S = 600  # a provider that asks for a longer pause is asked again after this


@dataclass(eq=False, kw_only=True)
class Candidate:
    """One model, shared by the chains that name it.

    It is not asked while its provider's Retry-After lasts, nor while its circuit is open: after
    failures in a row, until a pause is over and one request, the probe, has gone through.
    """

    ref: ModelRef
    build: Callable[[], Model]
    missing_keys: tuple[str, ...] = ()
    window: int | None = None
    """The tokens that its context window holds, if known."""
    circuits: Circuits = field(default_factory=Circuits)
    gate: AbstractAsyncContextManager[Any] = field(default_factory=nullcontext[None])
    available_at: float = field(default=0, init=False)
    """When it may be asked again, on the monotonic clock."""
    opened_at: float = field(default=math.inf, init=False)
    """When its circuit opened, for a reason that may pass within seconds."""
    _clients: list[Model] = field(default_factory=list[Model], init=False)
    _in_flight: int = field(default=0, init=False)
    _probe: asyncio.Event | None = field(default=None, init=False)
    """Set when the probe under way has ended."""
    _waits_for: Failure = field(default=Failure.COOLING_DOWN, init=False)
    _failures: int = field(default=0, init=False)
    _logged: set[Failure] = field(default_factory=set[Failure], init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    async def load(self) -> None:
        """Open its first client: the import takes a second or two, too long for an outage."""
        if not (self._clients or self.missing_keys):
            await self._open()

    @property
    def profile(self) -> ModelProfile:
        """Return what the model can do, once it is loaded."""
        return self._clients[0].profile

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Model]:
        """Wait for a free slot and yield a client. Raises TimeoutError if it is unavailable then."""
        async with self.gate:
            if self.unavailable:  # since the call began to wait here
                raise TimeoutError
            probe = asyncio.Event() if self._open_circuit() else None
            self._probe = probe or self._probe
            at = self._in_flight // REQUESTS_PER_CLIENT
            self._in_flight += 1
            try:
                yield self._clients[at] if at < len(self._clients) else await self._open()
            finally:
                self._in_flight -= 1
                if probe:
                    probe.set()

    async def _open(self) -> Model:
        try:
            model = _instrument(self.build())
        except Exception as error:  # whatever an SDK raises, it is not an outage
            ours = find_exhaustion(error)
            hint = find_remedy(ours) if ours else "see `doctor`, run `uv sync`"
            raise SettingsError(f"{self.ref} cannot be set up ({ours or error})", hint) from error
        self._clients.append(model)
        self._stack.push_async_callback(_close_client, model)
        return await self._stack.enter_async_context(model)

    async def close(self) -> None:
        self._clients.clear()
        await self._stack.aclose()

    @property
    def unavailable(self) -> Failure | None:
        """Return why it may not be asked now: CIRCUIT_OPEN or COOLING_DOWN, else None."""
        return self._waits_for if time.monotonic() < self.available_at else None

    def record_success(self) -> None:
        """Close its circuit; a Retry-After that another request got meanwhile still holds."""
        self._failures, self.opened_at = 0, math.inf
        if self._waits_for is Failure.CIRCUIT_OPEN:
            self.available_at = 0.0

    async def join_probe(self, within_s: float) -> None:
        """Wait for the probe under way; where there is none, let the next request be one."""
        if self._probe and not self._probe.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._probe.wait(), within_s)
        elif self.unavailable is Failure.CIRCUIT_OPEN:
            self.available_at = 0.0

    def record_failure(self, failure: Failure, error: BaseException) -> None:
        """Learn from a failure, and log the first one of a kind that the fallback hides."""
        policy = failure.policy
        self._failures += policy.trips
        if self._open_circuit() and policy.trips:
            self.opened_at = math.inf if policy.alert else time.monotonic()
        wait_s = min(retry_after_s(error), MAX_COOLDOWN_S)
        # Spent credit does not come back when a rate limit ends, of which the same reply may speak.
        is_open_longer = policy.alert and time.monotonic() + wait_s < self.available_at
        is_of_the_model = policy.retry or policy.trips  # else the request is at fault
        if wait_s > 0 and is_of_the_model and not is_open_longer:
            self._pause(Failure.COOLING_DOWN, wait_s)
        if failure not in self._logged and (policy.alert or not isinstance(error, EXPECTED)):
            self._logged.add(failure)
            ours = find_exhaustion(error)
            reason = f"{ours.strerror}: {find_remedy(ours)}" if ours else error
            log.warning("%s: %s (%s); chains go on without it", self.ref, failure, reason)

    def _open_circuit(self) -> bool:
        """Open it after failures in a row, and as the probe goes out: no second one follows."""
        opens = self._failures >= self.circuits.failures
        if opens:
            self._pause(Failure.CIRCUIT_OPEN, self.circuits.open_s)
        return opens

    def _pause(self, reason: Failure, seconds: float) -> None:
        self._waits_for, self.available_at = reason, time.monotonic() + seconds


def _instrument(model: Model) -> Model:
    """Add a span per attempt, without its texts, where the program has set up a tracer."""
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is None:
        return model
    from opentelemetry.trace import get_tracer_provider
    from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

    if not isinstance(get_tracer_provider(), sdk.TracerProvider):
        return model  # somebody only imported it
    return InstrumentedModel(model, InstrumentationSettings(include_content=False))


async def _close_client(model: Model) -> None:
    # pydantic-ai closes the clients it made itself, not one that a provider was given.
    client: Any = model.provider and model.provider.client
    closing = client.close() if hasattr(client, "close") else None
    if isawaitable(closing):
        await closing
