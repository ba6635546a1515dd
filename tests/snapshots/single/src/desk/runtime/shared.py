"""Hold what all chains of a workspace share, and what its extras may bring to them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import StreamedResponse

from .budgets import Spending
from .call_request import CallRequest
from .errors import WrongLoop
from .fleet import Fleet, ModelRef
from .ledger.attempt import Attempt
from .ledger.location import LedgerSettings, Location
from .ledger.prices import Prices
from .ledger.rollup import Statement
from .ledger.writer import Ledger
from .run import AskedCall, Run

PERSON = ModelRef("human", "human")
OpenStream = Callable[[Any, Any], AbstractAsyncContextManager[StreamedResponse]]
"""Opens the stream of a Chain's Call."""
Texts = Callable[[CallRequest, Sequence[Attempt], Mapping[int, ModelResponse]], Sequence[Statement]]
"""Returns what stores a call's prompts and answers, in the transaction of some of its rows."""
OpenTexts = Callable[[Location, LedgerSettings], Texts | None]


class Human(Protocol):
    """The last model of a chain: a person."""

    async def earlier(self, call: AskedCall) -> ModelResponse | None:
        """Return what an earlier, handed over request got for this very call, if it is known.

        Raises ChainExhausted where no model had answered.
        """
        ...

    async def answer(self, call: AskedCall) -> ModelResponse:
        """Return a person's answer, which is recorded where it is given.

        Raises Escalated where it comes later, Unanswered where none will.
        """
        ...

    def keep(self, run: Run, ticket: str) -> None:
        """Remember what a run that ended in a ticket got elsewhere: its request comes again."""
        ...

    def erase(self, user_ref: str) -> int:
        """Delete a user's tickets; return how many."""
        ...

    async def aclose(self) -> None: ...


MakeHuman = Callable[[Path, Fleet], Human]


@dataclass(kw_only=True)
class Shared:
    """What all chains of a workspace share."""

    ledger: Ledger
    prices: Prices
    spending: Spending
    permits: Callable[[ModelRef, str | None], bool]
    human: Human | None = None
    stream: OpenStream | None = None
    texts: Texts | None = None
    under_way: dict[str, asyncio.Task[Any] | None] = field(default_factory=dict[str, Any])
    """The calls under way, and the tasks that wait for them."""
    _loop: asyncio.AbstractEventLoop | None = None

    def expect_loop(self) -> None:
        """Raise WrongLoop where this is not the event loop of the first call."""
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise WrongLoop
