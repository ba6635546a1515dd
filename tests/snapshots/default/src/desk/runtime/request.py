"""What somebody asks, and the way that a router chooses for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from .errors import SettingsError
from .text import sanitize

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks: text, and the conversation before it if there was one.

    `deadline_s` and `max_cost_usd` are for all that is done for it. Under the same `id` it is the
    same request, and nobody is asked or paid twice. `options` are for the pipeline alone.
    """

    text: str
    history: "Sequence[ModelMessage]" = ()
    user_ref: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    id: str | None = None
    data_class: str | None = None
    deadline_s: float = math.inf
    max_cost_usd: Decimal | None = None
    wait_for_human: bool = False

    def __post_init__(self) -> None:
        for name in ("text", "user_ref", "tags", "options", "id", "data_class"):
            object.__setattr__(self, name, sanitize(getattr(self, name)))
        cap = self.max_cost_usd
        if cap is not None and not (math.isfinite(cap) and cap >= 0):
            raise SettingsError(f"max_cost_usd is {cap}", "give US dollars from 0 on, or None")
        if not self.deadline_s >= 0:
            raise SettingsError(f"deadline_s is {self.deadline_s}", "give seconds from 0 on")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes and why. `decided_by` is "fixed", "classifier" or "rule"."""

    chain: str
    reason: str
    decided_by: str
    pipeline: str = "answer"
    agent: str = "answer"
    intent: str | None = None
    complexity: int | None = None
