"""What an attempt cost, by list price or prices.toml, and what the month has cost by budget."""

import asyncio
import logging
import math
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_ai.usage import RequestUsage

from ..errors import SettingsError
from ..fleet import Budgets, ModelRef, Settings

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider
    from genai_prices.units import UnitDef

    from ..run import Stage
    from .store import Attempt

log = logging.getLogger(__name__)

NANO = 10**9
PER_MILLION = 10**6
NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
BATCH = {"processing": "batch"}
"""The context of an attempt that a batch interface answered."""

Usd = Annotated[Decimal, Field(ge=0)]
WARN_AT = Decimal("0.8")
REREAD_S = 60


class TokenPrices(Settings):
    """US dollars per million tokens.

    A cached or reasoning token costs as much as any input or output token if unset.
    """

    input_usd: Usd | None = None
    output_usd: Usd | None = None
    cache_read_usd: Usd | None = None
    cache_write_usd: Usd | None = None
    reasoning_usd: Usd | None = None

    def usd(self, usage: RequestUsage) -> Decimal | None:
        """None: the parts of this usage do not add up (more cached tokens than input, say)."""
        read, write = usage.cache_read_tokens, usage.cache_write_tokens
        reasoning, fresh = _reasoning(usage), usage.input_tokens - read - write
        plain = usage.output_tokens - reasoning
        if min(read, write, reasoning, fresh, plain) < 0:
            return None
        price_in, price_out = self.input_usd or Decimal(0), self.output_usd or Decimal(0)
        return (
            fresh * price_in
            + read * _or(self.cache_read_usd, price_in)
            + write * _or(self.cache_write_usd, price_in)
            + plain * price_out
            + reasoning * _or(self.reasoning_usd, price_out)
        ) / PER_MILLION


class Tier(TokenPrices):
    """Prices of the whole call once its input is larger than this many tokens."""

    above_tokens: int = Field(gt=0)


class Override(TokenPrices):
    """An own price from a day on: per token, per hour of a server, or a factor on the list's."""

    since: date = date.min
    tiers: tuple[Tier, ...] = ()
    hour_usd: Usd | None = None
    parallel: int = Field(default=1, gt=0)
    factor: Usd | None = None
    batch_factor: Usd = Decimal(1)
    call_usd: Usd = Decimal(0)
    unit_usd: Mapping[str, Usd] = Field(default_factory=dict[str, Usd])

    @model_validator(mode="after")
    def _complete(self) -> Self:
        tokens = self.input_usd is not None and self.output_usd is not None
        if not (tokens or self.hour_usd is not None or self.factor is not None):
            raise ValueError("give input_usd and output_usd, or hour_usd, or factor")
        return self

    def own_usd(self, usage: RequestUsage, seconds: float | None) -> Decimal | None:
        """None: unpriced, since a part of the price is unknown."""
        if self.hour_usd is not None and seconds is None:
            return None
        above = [tier for tier in self.tiers if usage.input_tokens > tier.above_tokens]
        prices = max(above, key=lambda tier: tier.above_tokens, default=self)
        tokens = prices.usd(usage)
        if tokens is None:
            return None
        hours = Decimal(str(seconds or 0)) / 3600
        server = hours * _or(self.hour_usd, Decimal(0)) / self.parallel
        pieces = (
            Decimal(str(count)) * self.unit_usd.get(unit, Decimal(0))
            for unit, count in other_units(usage).items()
        )
        return sum(pieces, tokens + server + self.call_usd)


def _several(entry: Any) -> Any:
    return [entry] if isinstance(entry, dict) else entry


Overrides = dict[str, Annotated[list[Override], BeforeValidator(_several)]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None


UNKNOWN = Cost(None, "none")
"""An attempt that reported no usage: skipped, failed, or cut off."""
UNPRICED = Cost(None, "unpriced")


class Prices:
    """Prices by model: overrides first, then the list."""

    def __init__(
        self,
        overrides: Mapping[str, Override | Sequence[Override]],
        list_ids: Mapping[str, str | None],
    ) -> None:
        self._overrides = {
            ref: [prices] if isinstance(prices, Override) else prices
            for ref, prices in overrides.items()
        }
        self._list_ids = list_ids
        self._list_version = f"genai-prices {version('genai-prices')}"

    @classmethod
    def load(cls, path: Path, list_ids: Mapping[str, str | None]) -> "Prices":
        """Read prices.toml if there is one. `list_ids`: provider -> its id in genai-prices."""
        if not path.is_file():
            return cls({}, list_ids)
        try:
            table = tomllib.loads(path.read_text("utf-8"))
            overrides = TypeAdapter(Overrides).validate_python(table)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path.name} is not valid TOML: {error}.") from None
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in wrong["loc"])
            raise SettingsError(
                f"{path.name}: {where}: {wrong['msg']}; see the example in it."
            ) from None
        return cls(overrides, list_ids)

    def cost(
        self,
        ref: ModelRef,
        usage: RequestUsage | None,
        *,
        context: Mapping[str, Any] = NO_CONTEXT,
        at: datetime | None = None,
        seconds: float | None = None,
    ) -> Cost:
        """The cost of one attempt, computed in Decimal and rounded once.

        `context`: what else the price depends on: BATCH, or a response's `provider_details`
        (service tier, a cost that the provider reports). `at`: when it was made, for the prices of
        that day (default: now). `seconds`: how long it took, for a server paid by the hour.
        """
        if usage is None:
            return UNKNOWN
        override = self._override(ref, at)
        if override:
            return self._own(override, ref, usage, at, context, seconds)
        reported = usage.cost if usage.cost is not None else context.get("cost")
        if reported is not None:
            return Cost(_nano(Decimal(str(reported))), "provider", ref.provider)
        usd = self._list_usd(ref, usage, at, context)
        return UNPRICED if usd is None else Cost(_nano(usd), "list", self._list_version)

    def known(self, ref: ModelRef) -> str | None:
        """The name of the price entry a model is booked under, or None: unpriced."""
        override = self._override(ref, None)
        if override and override.factor is None:
            return "prices.toml"
        found = self._find(ref)
        if found is None:
            return None
        return f"{found[1].id} x {override.factor}" if override else found[1].id

    def context_window(self, ref: ModelRef) -> int | None:
        """Tokens of a model's context window, where the list of prices tells it."""
        found = self._find(ref)
        return found[1].context_window if found else None

    def _override(self, ref: ModelRef, at: datetime | None) -> Override | None:
        entries = self._overrides.get(str(ref))
        if entries is None:
            return None
        day = (at or datetime.now(UTC)).date()
        begun = [entry for entry in entries if entry.since <= day]
        return max(begun, key=lambda entry: entry.since, default=None)

    def _find(self, ref: ModelRef) -> "tuple[Provider, ModelInfo] | None":
        from genai_prices.data_snapshot import get_snapshot

        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return get_snapshot().find_provider_model(ref.model, None, provider, None)
        except LookupError:
            return None

    def _own(
        self,
        override: Override,
        ref: ModelRef,
        usage: RequestUsage,
        at: datetime | None,
        context: Mapping[str, Any],
        seconds: float | None,
    ) -> Cost:
        if override.factor is None:
            usd = override.own_usd(usage, seconds)
            batch = override.batch_factor if context.get("processing") == "batch" else 1
        else:
            usd, batch = self._list_usd(ref, usage, at, context), override.factor
        return UNPRICED if usd is None else Cost(_nano(usd * batch), "override", "prices.toml")

    def _list_usd(
        self, ref: ModelRef, usage: RequestUsage, at: datetime | None, context: Mapping[str, Any]
    ) -> Decimal | None:
        found = self._find(ref)
        if found is None:
            return None
        try:
            if _is_plain(usage):
                return _list_price(*found, at, context).usd(usage)
            texts = {key: value for key, value in context.items() if isinstance(value, str)}
            provider, model = found
            return model.calc_price(
                usage, provider, genai_request_timestamp=at, price_context=texts
            ).total_price
        except ValueError:  # counts that contradict each other
            return None


class _ListPrice:
    """A model's price with its units looked up once: genai-prices does that for every call."""

    def __init__(self, price: "ModelPrice") -> None:
        units, _ = _units()
        self._priced = [
            (units[key], usd) for key, usd in vars(price).items() if usd and key in units
        ]
        self._by_key = {
            unit.usage_key: unit for unit, _ in self._priced if unit.usage_key != "requests"
        }

    def usd(self, usage: RequestUsage) -> Decimal:
        """Each token at its finest price, once. Raises ValueError."""
        from genai_prices.decompose import compute_leaf_values
        from genai_prices.types import calc_unit_price

        counts = {"requests": 1, **compute_leaf_values(set(self._by_key), usage, self._by_key)}
        return sum(
            (
                calc_unit_price(usd, counts[unit.usage_key], usage.input_tokens, unit.per)
                for unit, usd in self._priced
            ),
            Decimal(0),
        )


_looked_up: dict[object, tuple[object, _ListPrice]] = {}


def _list_price(
    provider: "Provider", model: "ModelInfo", at: datetime | None, context: Mapping[str, Any]
) -> _ListPrice:
    when = at or datetime.now(UTC)
    variants = model.price_variants or []
    wanted = {
        key: value
        for variant in variants
        for key, value in variant.when.items()
        if context.get(key) == value
    }
    if not wanted or not any(model is own for own in provider.models):
        price = model.get_prices(when)
        return _kept(id(price), price, lambda: price)
    if isinstance(model.prices, list) or any(variant.constraint for variant in variants):
        return _ListPrice(model.get_prices(when, wanted))
    key = (id(model), *sorted(wanted.items()))
    return _kept(key, model, lambda: model.get_prices(when, wanted))


def _kept(key: object, owner: object, price: "Callable[[], ModelPrice]") -> _ListPrice:
    # The owner is kept as well, since the key holds its id.
    if key not in _looked_up:
        _looked_up[key] = (owner, _ListPrice(price()))
    return _looked_up[key][1]


_PLAIN = frozenset(
    (
        *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
        *("output_tokens", "output_reasoning_tokens", "web_searches"),
    )
)


@cache
def _units() -> "tuple[dict[str, UnitDef], frozenset[str]]":
    """genai-prices' units by the key of their price, and the keys under which usage is reported."""
    from genai_prices.data_units import unit_data
    from genai_prices.units import UnitRegistry

    units = UnitRegistry(unit_data).units
    return {unit.price_key: unit for unit in units.values()}, frozenset(units)


def _is_plain(usage: RequestUsage) -> bool:
    """Whether it is counts of text and searches only; else the library takes its long way."""
    return all(
        type(value) is int and value >= 0 if key in _PLAIN else not value
        for key, value in vars(usage).items()
        if key in _units()[1]
    )


def other_units(usage: RequestUsage) -> dict[str, int | float]:
    """What is billed by the piece or the second: `{"web_searches": 2}`."""
    keys = _units()[1]
    return {
        key: value
        for key, value in vars(usage).items()
        if value and key in keys and not key.endswith("_tokens")
    }


def _reasoning(usage: RequestUsage) -> int:
    return usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0)


def _or(price: Decimal | None, other: Decimal) -> Decimal:
    return other if price is None else price


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))


class Spending:
    """What the calendar month (UTC) has cost so far against `[budgets]`, in nano-USD.

    `read` sums up the ledger by task type. It is asked once, then every minute for what other
    processes spend; in between, this process adds its own attempts.
    """

    def __init__(self, budgets: Budgets, read: Callable[[], Mapping[str, int]]) -> None:
        self.at_limit = budgets.at_limit
        self._budgets = budgets
        self._read = read
        self._spent: Counter[str] = Counter()
        self._month = ""
        self._read_at = -math.inf
        self._warned: set[str] = set()

    def call_nano(self, own_usd: Decimal | None) -> float:
        """The cap of one call: the chain's own or that of all calls, whichever is lower."""
        caps = [usd for usd in (own_usd, self._budgets.call_usd) if usd]
        return int(min(caps) * NANO) if caps else math.inf

    def add(self, attempts: Iterable["Attempt"]) -> None:
        for attempt in attempts:
            if attempt.cost_nano_usd and attempt.environment != "demo":
                self._spent[attempt.task_type] += attempt.cost_nano_usd

    async def reached(self, stage: "Stage") -> str | None:
        """The budget that is used up for a stage, if one is; at 80 % there is a warning, once."""
        budgets, task = self._budgets, stage.task_type
        if 0 < budgets.run_usd * NANO <= stage.run.spent_nano():
            return "run_usd"
        if stage.run.environment == "demo" or not (budgets.month_usd or budgets.task_usd):
            return None
        await self._refresh()
        limits = {"month_usd": budgets.month_usd, task: budgets.task_usd.get(task, Decimal(0))}
        spent = {"month_usd": self._spent.total(), task: self._spent[task]}
        for name, limit in limits.items():
            if limit and spent[name] >= limit * NANO:
                return name
            if limit and spent[name] >= limit * NANO * WARN_AT and name not in self._warned:
                self._warned.add(name)
                log.warning("80 %% of the month's budget %s, $%s, is spent", name, limit)
        return None

    async def _refresh(self) -> None:
        month = time.strftime("%Y-%m", time.gmtime())
        if month == self._month and time.monotonic() < self._read_at + REREAD_S:
            return
        if month != self._month:
            self._month, self._spent = month, Counter()
            self._warned.clear()
        self._read_at = time.monotonic()
        # What this process has added may not be committed yet: never count less than that.
        self._spent |= Counter(await asyncio.to_thread(self._read))
