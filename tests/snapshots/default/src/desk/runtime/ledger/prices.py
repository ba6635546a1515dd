"""What an attempt cost: list prices from genai-prices, the team's own from prices.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_ai.usage import RequestUsage

from ..errors import SettingsError
from ..fleet import ModelRef, Settings

NANO = 10**9
PER_MILLION = 10**6


class Override(Settings):
    """US dollars per million tokens; a cached token costs as much as an input token if unset."""

    input_usd: Decimal = Field(ge=0)
    output_usd: Decimal = Field(ge=0)
    cache_read_usd: Decimal | None = Field(default=None, ge=0)


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None


UNKNOWN = Cost(None, "none")
"""An attempt that reported no usage: skipped, failed, or cut off."""


class Prices:
    """Prices by model: overrides first, then the list."""

    def __init__(self, overrides: Mapping[str, Override], list_ids: Mapping[str, str | None]):
        self._overrides = overrides
        self._list_ids = list_ids
        self._list_version = f"genai-prices {version('genai-prices')}"

    @classmethod
    def load(cls, path: Path, list_ids: Mapping[str, str | None]) -> "Prices":
        """Read prices.toml if there is one. `list_ids`: provider -> its id in genai-prices."""
        if not path.is_file():
            return cls({}, list_ids)
        try:
            table = tomllib.loads(path.read_text("utf-8"))
            overrides = TypeAdapter(dict[str, Override]).validate_python(table)
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            where = str(error).splitlines()[-1 if isinstance(error, tomllib.TOMLDecodeError) else 1]
            raise SettingsError(f"{path.name}: {where.strip()}; see the example in it.") from None
        return cls(overrides, list_ids)

    def cost(self, ref: ModelRef, usage: RequestUsage | None) -> Cost:
        """The cost of one attempt, computed in Decimal and rounded once."""
        if usage is None:
            return UNKNOWN
        if override := self._overrides.get(str(ref)):
            return Cost(_nano(_own_price(override, usage)), "override", "prices.toml")
        price = self._list_price(ref, usage)
        if price is None:
            return Cost(None, "unpriced")
        return Cost(_nano(price), "list", self._list_version)

    def known(self, ref: ModelRef) -> str | None:
        """The name of the price entry a model is booked under, or None: unpriced."""
        from genai_prices import Usage, calc_price

        if str(ref) in self._overrides:
            return "prices.toml"
        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return calc_price(Usage(), ref.model, provider_id=provider).model.id
        except LookupError:
            return None

    def _list_price(self, ref: ModelRef, usage: RequestUsage) -> Decimal | None:
        from genai_prices import calc_price

        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return calc_price(usage, ref.model, provider_id=provider).total_price
        except LookupError:
            return None


def _own_price(price: Override, usage: RequestUsage) -> Decimal:
    cached = usage.cache_read_tokens
    cache_price = price.input_usd if price.cache_read_usd is None else price.cache_read_usd
    tokens_usd = (
        (usage.input_tokens - cached) * price.input_usd
        + cached * cache_price
        + usage.output_tokens * price.output_usd
    )
    return tokens_usd / PER_MILLION


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))
