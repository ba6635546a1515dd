"""The team's own prices in prices.toml, which go before list prices."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, TypeAdapter, model_validator

from ..settings import Settings
from .prices import is_other_unit

if TYPE_CHECKING:
    from .prices import TokenUsage

MILLION = 10**6
Usd = Annotated[Decimal, Field(ge=0)]


def _same_as(name: str, alias: str) -> Any:
    return Field(default_factory=lambda values: values[name], alias=alias)


class TokenPrices(Settings):
    """US dollars per million tokens; the aliases are the names in the file."""

    input_mtok: Usd = Field(default=Decimal(0), alias="input_usd")
    output_mtok: Usd = Field(default=Decimal(0), alias="output_usd")
    cache_read_mtok: Usd = _same_as("input_mtok", alias="cache_read_usd")
    cache_write_mtok: Usd = _same_as("input_mtok", alias="cache_write_usd")
    output_reasoning_mtok: Usd = _same_as("output_mtok", alias="reasoning_usd")


class LongPrices(TokenPrices):
    """Prices of a whole call whose input is longer than `above_tokens`."""

    above_tokens: int = Field(gt=0)


class OwnPrice(TokenPrices):
    """A price from a day on: per token, per hour of a server, or a factor on the list price."""

    since: date = date.min
    tiers: tuple[LongPrices, ...] = ()
    hour_usd: Usd | None = None
    parallel: int = Field(default=1, gt=0)
    factor: Usd | None = None
    batch_factor: Usd = Decimal(1)
    call_usd: Usd = Decimal(0)
    unit_usd: Mapping[str, Usd] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        has_tokens = {"input_mtok", "output_mtok"} <= self.model_fields_set
        if not has_tokens and self.hour_usd is None and self.factor is None:
            raise ValueError("give input_usd and output_usd, or hour_usd, or factor")
        if unknown := [key for key in self.unit_usd if not is_other_unit(key)]:
            raise ValueError(f"unit_usd: '{min(unknown)}' is not a unit such as web_searches")
        return self

    @property
    def is_paid_by_time(self) -> bool:
        """Whether an answer costs the same however many tokens it has."""
        prices = (self.input_mtok, self.output_mtok, *self.unit_usd.values())
        return self.hour_usd is not None and not (any(prices) or self.tiers)

    def usd(
        self, usage: "TokenUsage", context: Mapping[str, Any], seconds: float | None
    ) -> Decimal:
        """Return what a call costs. Raises ValueError where that is not known."""
        usd = self._usd_of_tokens(usage) + self.call_usd
        usd += sum(
            price * Decimal(str(getattr(usage, key, 0)))
            for key, price in self.unit_usd.items()
            if not key.endswith("_tokens")
        )
        if self.hour_usd is not None:
            if seconds is None:
                raise ValueError("a server is paid by the hour, and how long it took is not known")
            usd += self.hour_usd * Decimal(str(seconds)) / 3600 / self.parallel
        return usd * self.batch_factor if context.get("processing") == "batch" else usd

    def _usd_of_tokens(self, usage: "TokenUsage") -> Decimal:
        longer = [long for long in self.tiers if usage.input_tokens > long.above_tokens]
        prices: TokenPrices = max(longer, key=lambda long: long.above_tokens, default=self)
        read, written = _count(usage.cache_read_tokens), _count(usage.cache_write_tokens)
        reasoned = _count(usage.output_reasoning_tokens)
        counts = {
            "input_mtok": _count(usage.input_tokens) - read - written,
            "output_mtok": _count(usage.output_tokens) - reasoned,
            "cache_read_mtok": read,
            "cache_write_mtok": written,
            "output_reasoning_mtok": reasoned,
        }
        usd = Decimal(0)
        for key, price in self.unit_usd.items():
            if key.endswith("_tokens"):  # a part of the tokens above, at a price of its own
                count = _count(getattr(usage, key, 0))
                counts[_part_of(key)] -= count
                usd += price * count
        if min(counts.values()) < 0:
            raise ValueError("the counts contradict each other")
        costs = (getattr(prices, name) * count for name, count in counts.items())
        return usd + sum(costs, Decimal(0)) / MILLION


def _count(tokens: float | Decimal | None) -> Decimal:
    return Decimal(tokens or 0)


def _part_of(key: str) -> str:
    """Return the price of the tokens that a unit such as input_audio_tokens is a part of."""
    if key.startswith("cache"):
        return "cache_read_mtok" if "read" in key else "cache_write_mtok"
    if key.startswith("output"):
        return "output_reasoning_mtok" if "reasoning" in key else "output_mtok"
    return "input_mtok"


OWN_PRICES = TypeAdapter(dict[str, list[OwnPrice]])
