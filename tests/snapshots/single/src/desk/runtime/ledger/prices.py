"""What an attempt cost, by list price or prices.toml, and what the month has cost by budget."""

import asyncio
import logging
import math
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, cast

from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from genai_prices.decompose import compute_leaf_values
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    Tier,
    TieredPrices,
    calc_unit_price,
)
from genai_prices.units import UnitRegistry
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from ..budgets import Limit, Reservations
from ..errors import LedgerError, SettingsError
from ..fleet import Budgets, ModelRef, Settings, advice
from .attempt import Attempt

if TYPE_CHECKING:
    from ..run import Stage

log = logging.getLogger(__name__)

NANO = 10**9
MOST_USD = 10**9  # of one attempt: more is a mistake, and does not fit into a column
BATCH = {"processing": "batch"}
"""The context of an attempt that a batch interface answered."""
USUAL: Mapping[str, Collection[str | None]] = {
    "service_tier": (None, "default", "standard", "standard_only", "auto", "on_demand", "batch"),
    "speed": (None, "standard"),
    "processing": (None,),
    "inference_geo": (None, "global", "not_available", "us"),
    "asked": (None,),
    "fees": (None,),
}
"""What the list's plain prices are for. For anything else it has a price of its own, or none."""
TRAFFIC = {
    "ON_DEMAND": "on_demand",
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}
"""Vertex AI's `traffic_type` as a tier; any other, such as provisioned throughput, is its own."""
FEES = frozenset({"web_searches", "code_executions", "storage_searches", "social_searches"})
"""Units of what a provider's own tools did: where the list has no price for one, a fee is missing."""
GEO_FACTOR: Mapping[str | None, Decimal] = {"us": Decimal("1.1")}
"""https://platform.claude.com/docs/en/manage-claude/data-residency"""
OWN = "prices.toml"
WARN_AT = Decimal("0.8")
UNITS = UnitRegistry(unit_data).units
UNIT_OF = {unit.price_key: key for key, unit in UNITS.items()}
Usd = Annotated[Decimal, Field(ge=0)]


def _own(alias: str, like: str) -> Any:
    return Field(default_factory=lambda given: given[like], alias=alias)


class TokenPrices(Settings):
    """US dollars per million tokens; if unset, a cached or reasoning token costs as any other."""

    input_mtok: Usd = Field(default=Decimal(0), alias="input_usd")
    output_mtok: Usd = Field(default=Decimal(0), alias="output_usd")
    cache_read_mtok: Usd = _own("cache_read_usd", like="input_mtok")
    cache_write_mtok: Usd = _own("cache_write_usd", like="input_mtok")
    output_reasoning_mtok: Usd = _own("reasoning_usd", like="output_mtok")


OTHER_UNITS = UNITS.keys() - {UNIT_OF[name] for name in TokenPrices.model_fields} - {"requests"}


class LongPrices(TokenPrices):
    """Prices of the whole call once its input is larger than this many tokens."""

    above_tokens: int = Field(gt=0)


class Override(TokenPrices):
    """An own price from a day on: per token, per hour of a server, or a factor on the list's."""

    since: date = date.min
    tiers: tuple[LongPrices, ...] = ()
    hour_usd: Usd | None = None
    parallel: int = Field(default=1, gt=0)
    factor: Usd | None = None
    batch_factor: Usd = Decimal(1)
    call_usd: Usd = Decimal(0)
    unit_usd: Mapping[str, Usd] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        tokens = {"input_mtok", "output_mtok"} <= self.model_fields_set
        if not tokens and self.hour_usd is None and self.factor is None:
            raise ValueError("give input_usd and output_usd, or hour_usd, or factor")
        if unknown := self.unit_usd.keys() - OTHER_UNITS:
            raise ValueError(f"unit_usd: '{min(unknown)}' is not a unit such as web_searches")
        return self

    @property
    def is_paid_by_time(self) -> bool:
        """Whether an answer costs the same however many tokens it has."""
        priced = (self.input_mtok, self.output_mtok, *self.unit_usd.values())
        return self.hour_usd is not None and not (any(priced) or self.tiers)

    @cached_property
    def price(self) -> ModelPrice:
        """What is paid per token, piece and call, as genai-prices has it."""
        prices: dict[str, Decimal | TieredPrices] = {}
        for name in TokenPrices.model_fields:
            tiers = [Tier(long.above_tokens, getattr(long, name)) for long in self.tiers]
            prices[name] = TieredPrices(getattr(self, name), tiers)
        for key, usd in {**self.unit_usd, "requests": self.call_usd}.items():
            prices[UNITS[key].price_key] = usd * UNITS[key].per
        return ModelPrice(**prices)

    def usd(
        self, usage: RequestUsage, context: Mapping[str, Any], seconds: float | None
    ) -> Decimal:
        """By this price alone. Raises ValueError where it is unknown for this usage."""
        usd = _usd(self.price, usage)
        if self.hour_usd is not None:
            if seconds is None:
                raise ValueError("a server is paid by the hour, and how long it took is unknown")
            usd += self.hour_usd * Decimal(str(seconds)) / 3600 / self.parallel
        return usd * self.batch_factor if context.get("processing") == "batch" else usd


OVERRIDES = TypeAdapter(dict[str, list[Override]])


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None


UNPRICED = Cost(None, "unpriced")


class Prices:
    """Prices by model: overrides, as prices.toml has them, first, then the list.

    `list_ids`: provider -> its id in genai-prices. `deployed`: place, or provider for all of its
    places -> the model served there under whatever name; None: what the response names.
    `regional`: whether a model may cost more there than the list says. Raises pydantic's
    ValidationError.
    """

    def __init__(
        self,
        overrides: Mapping[str, object],
        list_ids: Mapping[str, str | None],
        deployed: Mapping[str, str | None] | None = None,
        regional: Callable[[ModelRef], bool] = lambda _: False,
    ) -> None:
        self._overrides = OVERRIDES.validate_python(
            {ref: own if isinstance(own, list) else [own] for ref, own in overrides.items()}
        )
        self._list_ids, self._deployed, self._regional = list_ids, deployed or {}, regional
        self._list_version = f"genai-prices {version('genai-prices')}"

    @classmethod
    def load(
        cls,
        path: Path,
        list_ids: Mapping[str, str | None],
        deployed: Mapping[str, str | None] | None = None,
        regional: Callable[[ModelRef], bool] = lambda _: False,
    ) -> Self:
        """Read prices.toml if there is one. Raises SettingsError."""
        try:
            own = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
            return cls(own, list_ids, deployed, regional)
        except ValidationError as error:
            raise advice(error, f"{path.name}: ") from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path.name}: not valid TOML: {error}.") from None

    def cost(
        self,
        ref: ModelRef,
        usage: RequestUsage | None,
        *,
        context: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        seconds: float | None = None,
        served: str | None = None,
    ) -> Cost:
        """The cost of one attempt, computed in Decimal and rounded once.

        `context`: a response's `provider_details`: what else the price depends on, such as the
        service tier, or a cost the provider reports. `at`: when it was made, for the prices of
        that day (default: now). `seconds`: how long it took, for a server paid by the hour.
        `served`: the model that the response names, whose list price it is.
        """
        at, context = at or datetime.now(UTC), read_tiers(context or {})
        own = self._override(ref, at)
        counted = usage or RequestUsage()
        try:
            by_time = own and own.is_paid_by_time and seconds is not None
            if own and own.factor is None and (usage is not None or by_time):
                return _cost(own.usd(counted, context, seconds), "override", OWN)
            if not own and (reported := _reported(counted, context)) is not None:
                return _cost(reported, "provider", ref.provider)
            if usage is None:
                return Cost(None, "none")  # skipped, failed, cut off, or without its tokens
            usd, sure = self._list_usd(self._served(ref, served), usage, context, at)
            if own and own.factor is not None:
                return _cost(own.factor * usd, "override", OWN)
            if context.get("is_byok") is True:  # billed by the model's own provider, and a fee here
                return _cost(usd + _usd_of(usage, context), "estimated", self._list_version)
            sure = sure and not self._regional(ref)
            return _cost(usd, "list" if sure else "estimated", self._list_version)
        except (LookupError, ValueError, ArithmeticError):
            return UNPRICED  # no price, or counts that contradict each other

    def known(self, ref: ModelRef) -> str | None:
        """The name of the price entry a model is booked under, or None: unpriced."""
        own = self._override(ref, datetime.now(UTC))
        if own and own.factor is None:
            return OWN
        if self._is_nameless(ref):
            return "what the response names"
        found = self._find(self._served(ref, None))
        return found and found[1].id + (f" x {own.factor}" if own else "")

    @property
    def own(self) -> Collection[str]:
        """The models that prices.toml has prices for, as it names them."""
        return self._overrides

    def leaving(self, ref: ModelRef) -> str | None:
        """Why the list calls a model deprecated, with what took its place where it tells; or None."""
        found = self._find(self._served(ref, None))
        if not found or not found[1].deprecated:
            return None
        return found[1].price_comments or "it is listed as deprecated"

    def context_window(self, ref: ModelRef) -> int | None:
        """Tokens of a model's context window, where the list of prices tells it."""
        found = self._find(self._served(ref, None))
        return found and found[1].context_window

    def _served(self, ref: ModelRef, served: str | None) -> ModelRef:
        """What a call is priced as: the deployment's model, or what was served if it is listed."""
        place = ref.place if ref.place in self._deployed else ref.provider
        if place in self._deployed:
            return replace(ref, model=self._deployed[place] or served or "")
        # A variant of what was served, such as `MODEL:free`, may have a price of its own.
        is_variant = ref.model.startswith(f"{served}:") and self._find(ref)
        answered = replace(ref, model=served) if served and not is_variant else ref
        return answered if self._find(answered) else ref

    def _is_nameless(self, ref: ModelRef) -> bool:
        place = ref.place if ref.place in self._deployed else ref.provider
        return place in self._deployed and not self._deployed[place]

    def _override(self, ref: ModelRef, at: datetime) -> Override | None:
        begun = [own for own in self._overrides.get(str(ref), ()) if own.since <= at.date()]
        return max(begun, key=lambda own: own.since, default=None)

    def _find(self, ref: ModelRef) -> tuple[Provider, ModelInfo] | None:
        """A model's entry in the list, which matches by prefix: `known` tells what it matched."""
        if (provider := self._list_ids.get(ref.provider)) and ref.model:
            with suppress(LookupError):
                return get_snapshot().find_provider_model(ref.model, None, provider, None)
        return None

    def _list_usd(
        self, ref: ModelRef, usage: RequestUsage, context: Mapping[str, Any], at: datetime
    ) -> tuple[Decimal, bool]:
        """By list price, and whether that has a price for all of `context`.

        Raises LookupError or ValueError.
        """
        if not (found := self._find(ref)):
            raise LookupError(f"{ref} has no list price")
        provider, model = found
        lent = not any(model is listed for listed in provider.models)  # by another provider
        sure = _covers([] if lent else model.price_variants or [], context)
        factor = GEO_FACTOR.get(context.get("inference_geo"), Decimal(1))
        if units := other_units(usage):
            # Beside text there are rules such as a least length of audio.
            price = model.calc_price(
                usage, provider, genai_request_timestamp=at, price_context=context
            )
            listed = vars(model.get_prices(at, None if lent else context))
            fees = [UNITS[unit].price_key for unit in units.keys() & FEES]
            return price.total_price * factor, sure and all(listed.get(fee) for fee in fees)
        return _usd(model.get_prices(at, None if lent else context), usage) * factor, sure


def price_context(response: ModelResponse, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a price depends on beside tokens: what the response says, else what was asked for."""
    found: dict[str, Any] = dict(response.provider_details or {})
    tier, asked = found.get("service_tier"), _asked_tier(settings or {})
    if tier is None and (traffic := found.get("traffic_type")):
        tier = TRAFFIC.get(str(traffic), str(traffic).lower())
    if tier is None and asked not in USUAL["service_tier"]:
        tier, found["asked"] = asked, "asked"  # that it was served so is not said
    own_tools = any(part.part_kind == "builtin-tool-call" for part in response.parts)
    own_tools = own_tools or any("server_side_tools" in key for key in response.usage.details)
    if own_tools and not other_units(response.usage).keys() & FEES:
        found["fees"] = "fees"  # of the provider's own tools, which nobody counted
    found["service_tier"] = tier
    said = {key: found.get(key) for key in USUAL}
    return found | {key: "_".join(str(one).split()) for key, one in said.items() if one is not None}


def _asked_tier(settings: Mapping[str, Any]) -> str | None:
    """The tier that a request's settings name, in pydantic-ai's words or in its body."""
    body: Any = settings.get("extra_body")
    tables = [settings, *([cast("dict[str, Any]", body)] if isinstance(body, dict) else [])]
    for table in tables:
        for key, value in table.items():
            if key.lower().replace("_", "").endswith("servicetier") and value:
                if isinstance(value, dict):
                    return str(cast("dict[str, Any]", value).get("type"))
                return str(value)
    latency: dict[str, Any] = settings.get("bedrock_performance_configuration") or {}
    return "optimized" if latency.get("latency") == "optimized" else None


def tier_text(context: Mapping[str, Any]) -> str | None:
    """The ledger's `service_tier`: all of a context that changes the price, in words."""
    changing = {
        key: value for key, value in context.items() if value not in USUAL.get(key, [value])
    }
    if (geo := context.get("inference_geo")) in GEO_FACTOR:
        changing["inference_geo"] = geo
    tier = changing.pop("service_tier", None) or context.get("service_tier")
    words = [*([str(tier)] if tier else []), *(f"{key}={one}" for key, one in changing.items())]
    return " ".join(words) or None


def read_tiers(context: Mapping[str, Any]) -> dict[str, Any]:
    """A context with the words of its `service_tier` where they belong."""
    found = {**context, "service_tier": None}
    for word in str(context.get("service_tier") or "").split():
        key, _, value = word.rpartition("=")
        found[key if key in USUAL else "service_tier"] = value if key in USUAL else word
    return {**found, **BATCH} if found["service_tier"] == "batch" else found


def _usd(price: ModelPrice, usage: RequestUsage) -> Decimal:
    """As genai-prices does it, without its slow checks. Raises ValueError where counts conflict."""
    if any(value < 0 for key, value in vars(usage).items() if key in UNITS):
        raise ValueError("a count is negative")
    prices = {UNIT_OF[name]: usd for name, usd in vars(price).items() if usd is not None}
    counts = compute_leaf_values(set(prices), usage, UNITS)
    pieces = (
        calc_unit_price(usd, counts[key], usage.input_tokens, UNITS[key].per)
        for key, usd in prices.items()
    )
    return sum(pieces, Decimal(0))


def _covers(variants: Sequence[PriceVariant], context: Mapping[str, Any]) -> bool:
    """Whether the list has prices for the tier, speed and processing of an answer."""
    return all(
        context.get(key) in usual or any(one.when.get(key) == context[key] for one in variants)
        for key, usual in USUAL.items()
    )


def _reported(usage: RequestUsage, context: Mapping[str, Any]) -> Decimal | None:
    """What the provider says it cost; None where it does not say, or not all of it.

    Own keys at a gateway: its `cost` is its fee, and the model's provider sends another bill.
    """
    told = usage.cost if usage.cost is not None else context.get("cost")
    if context.get("is_byok") is not True:
        return None if told is None else Decimal(str(told))
    upstream = context.get("upstream_inference_cost")
    return None if upstream is None else Decimal(str(upstream)) + _usd_of(usage, context)


def _usd_of(usage: RequestUsage, context: Mapping[str, Any]) -> Decimal:
    told = usage.cost if usage.cost is not None else context.get("cost")
    return Decimal(str(told or 0))


def _cost(usd: Decimal, source: str, version: str) -> Cost:
    return Cost(round(usd * NANO), source, version) if 0 <= usd < MOST_USD else UNPRICED


def other_units(usage: RequestUsage) -> dict[str, int | float]:
    """What is billed beside text: `{"web_searches": 2}`, tokens of audio or of an hour's cache."""
    return {key: value for key, value in vars(usage).items() if value and key in OTHER_UNITS}


class Spending:
    """What the calendar month (UTC) has cost so far against `[budgets]`, in nano-USD by task type.

    `read` sums up the ledger. It is asked every `every_s` seconds for what other processes spend;
    in between, this process adds its own attempts.
    """

    def __init__(
        self, budgets: Budgets, read: Callable[[], Mapping[str, int]], *, every_s: float = 10
    ) -> None:
        self.at_limit, self.answer_tokens = budgets.at_limit, budgets.answer_tokens
        self.reservations = Reservations()
        self._budgets, self._read, self._every_s = budgets, read, every_s
        self._month, self._read_at = "", -math.inf
        self._first_look = asyncio.Lock()
        self._spent: Counter[str] = Counter()
        self._warned: set[str] = set()

    def call_nano(self, own_usd: Decimal | None) -> float:
        """The cap of one call: the chain's own or that of all calls, whichever is lower."""
        caps = (own_usd, self._budgets.call_usd)
        return min((int(usd * NANO) for usd in caps if usd), default=math.inf)

    def add(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            if attempt.environment != "demo":
                self._spent[attempt.task_type] += attempt.cost_nano_usd or 0

    def limits(self, stage: "Stage") -> list[Limit]:
        """The budgets that an attempt of a stage comes under."""
        run, task = stage.run, stage.task_type
        cap, mine = run.request.max_cost_usd, f"run {run.id}"
        found: list[Limit] = []
        if cap is not None:
            left = _left(cap, run.spent_nano)
            found.append(Limit("max_cost_usd", mine, left, is_budget=False))
        if self._budgets.run_usd:
            found.append(Limit("run_usd", mine, _left(self._budgets.run_usd, run.spent_nano)))
        if run.environment == "demo":
            return found
        if self._budgets.month_usd:
            left = _left(self._budgets.month_usd, lambda: self._spent.total())
            found.append(Limit("month_usd", "month", left))
        if usd := self._budgets.task_usd.get(task):
            found.append(Limit(task, f"task {task}", _left(usd, lambda: self._spent[task])))
        return found

    async def reached(self, stage: "Stage") -> str | None:
        """The budget that is used up for a stage, if one is; at 80 % there is a warning, once."""
        budgets, task, run = self._budgets, stage.task_type, stage.run
        if 0 < budgets.run_usd * NANO <= run.spent_nano():
            return "run_usd"
        if run.environment == "demo" or not (budgets.month_usd or budgets.task_usd):
            return None
        await self._refresh()
        for name, limit, spent in (
            ("month_usd", budgets.month_usd, self._spent.total()),
            (task, budgets.task_usd.get(task), self._spent[task]),
        ):
            if limit and spent >= limit * NANO:
                return name
            if limit and spent >= limit * NANO * WARN_AT and name not in self._warned:
                self._warned.add(name)
                log.warning("80 %% of the month's budget %s, $%s, is spent", name, limit)
        return None

    async def _refresh(self) -> None:
        """Look at the ledger now and then; in a new month, or at first, before a call goes on."""
        month, now = time.strftime("%Y-%m", time.gmtime()), time.monotonic()
        if month == self._month:
            if now >= self._read_at + self._every_s:
                self._read_at = now
                await self._look()
            return
        async with self._first_look:
            if month != self._month:
                self._spent, self._warned = Counter(), set()
                await self._look()
                self._month, self._read_at = month, now

    async def _look(self) -> None:
        try:
            # What this process has added may not be committed yet: never count less than that.
            self._spent |= Counter(await asyncio.to_thread(self._read))
        except LedgerError as error:
            log.warning("What other processes have spent is unknown: %s", error)


def _left(usd: Decimal, spent_nano: Callable[[], int]) -> Callable[[], int]:
    return lambda: int(usd * NANO) - spent_nano()
