"""What an attempt cost: by prices.toml, by what its provider reports, or by list price."""

import tomllib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genai_prices import Usage, calc_price
from genai_prices.types import ModelInfo
from pydantic import ValidationError

from ..errors import SettingsError
from ..fleet import ModelRef
from ..settings import explain_invalid
from .attempt import NANO
from .own_prices import OWN_PRICES, OwnPrice, other_units
from .price_context import FEES, GEO_FACTOR, has_prices_for, read_tier_text

if TYPE_CHECKING:
    from .own_prices import TokenUsage

MOST_USD = 10**9  # of one attempt: more is a mistake, and does not fit into a column
OWN = "prices.toml"


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None


UNPRICED = Cost(None, "unpriced")


class Prices:
    """Prices by model. Raises pydantic's ValidationError where an own one is wrong.

    `list_ids`: provider -> its id in genai-prices. `deployed`: place, or provider for all of its
    places -> the model served there under whatever name; None: what the response names.
    `regional`: whether a model may cost more there than the list says.
    """

    def __init__(
        self,
        own: Mapping[str, object],
        list_ids: Mapping[str, str | None],
        deployed: Mapping[str, str | None] | None = None,
        regional: Callable[[ModelRef], bool] = lambda _: False,
    ) -> None:
        self._own = OWN_PRICES.validate_python(
            {ref: price if isinstance(price, list) else [price] for ref, price in own.items()}
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
            raise explain_invalid(error, f"{path.name}: ") from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path.name} is not valid TOML ({error})", "correct it") from None

    def cost(
        self,
        ref: ModelRef,
        usage: "TokenUsage | None",
        *,
        context: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        seconds: float | None = None,
        served: str | None = None,
    ) -> Cost:
        """Return the cost of one attempt, computed in Decimal and rounded once.

        `context`: see `price_context`. `at`: when the attempt was made, for the prices of that
        day. `seconds`: how long it took, for a server paid by the hour. `served`: the model that
        the response names, whose list price it is.
        """
        at, context = at or datetime.now(UTC), read_tier_text(context or {})
        own = self._own_price(ref, at)
        counted = usage or Usage()
        try:
            by_time = own and own.is_paid_by_time and seconds is not None
            if own and own.factor is None and (usage is not None or by_time):
                return _cost(own.usd(counted, context, seconds), "override", OWN)
            if not own and (reported := _usd_of_provider(counted, context)) is not None:
                return _cost(reported, "provider", ref.provider)
            if usage is None:
                return Cost(None, "none")  # skipped, failed, cut off, or without its tokens
            usd, is_sure = self._list_usd(self._ref_of_price(ref, served), usage, context, at)
            if own and own.factor is not None:
                return _cost(own.factor * usd, "override", OWN)
            if context.get("is_byok") is True:  # the model's provider bills it, the gateway a fee
                return _cost(usd + _fee_usd(usage, context), "estimated", self._list_version)
            is_sure = is_sure and not self._regional(ref)
            return _cost(usd, "list" if is_sure else "estimated", self._list_version)
        except (LookupError, ValueError, ArithmeticError):
            return UNPRICED  # no price, or counts that contradict each other

    def known(self, ref: ModelRef) -> str | None:
        """Return the name of the price that a model has, or None where it is unpriced."""
        own = self._own_price(ref, datetime.now(UTC))
        if own and own.factor is None:
            return OWN
        if self._is_nameless(ref):
            return "what the response names"
        listed = self._find(self._ref_of_price(ref, None))
        return listed and listed.id + (f" x {own.factor}" if own else "")

    @property
    def own(self) -> Collection[str]:
        """The models that prices.toml has prices for, as it names them."""
        return self._own

    def leaving(self, ref: ModelRef) -> str | None:
        """Return why the list calls a model deprecated, and its successor if the list names one."""
        listed = self._find(self._ref_of_price(ref, None))
        if not listed or not listed.deprecated:
            return None
        return listed.price_comments or "it is listed as deprecated"

    def context_window(self, ref: ModelRef) -> int | None:
        """Return the tokens of a model's context window, where the list has them."""
        listed = self._find(self._ref_of_price(ref, None))
        return listed and listed.context_window

    def _ref_of_price(self, ref: ModelRef, served: str | None) -> ModelRef:
        """Return whose price a call has: the deployment's model, or what was served if listed."""
        place = self._place(ref)
        if place in self._deployed:
            return replace(ref, model=self._deployed[place] or served or "")
        # A variant of what was served, such as `MODEL:free`, may have a price of its own.
        is_variant = ref.model.startswith(f"{served}:") and self._find(ref)
        answered = replace(ref, model=served) if served and not is_variant else ref
        return answered if self._find(answered) else ref

    def _is_nameless(self, ref: ModelRef) -> bool:
        place = self._place(ref)
        return place in self._deployed and not self._deployed[place]

    def _place(self, ref: ModelRef) -> str:
        return ref.place if ref.place in self._deployed else ref.provider

    def _own_price(self, ref: ModelRef, at: datetime) -> OwnPrice | None:
        begun = [own for own in self._own.get(str(ref), ()) if own.since <= at.date()]
        return max(begun, key=lambda own: own.since, default=None)

    def _find(self, ref: ModelRef) -> ModelInfo | None:
        """Return a model's entry in the list, which matches by prefix: `known` names it."""
        list_id = self._list_ids.get(ref.provider)
        if list_id and ref.model:
            with suppress(LookupError):
                return calc_price(Usage(), ref.model, provider_id=list_id).model
        return None

    def _list_usd(
        self, ref: ModelRef, usage: "TokenUsage", context: Mapping[str, Any], at: datetime
    ) -> tuple[Decimal, bool]:
        """Return the list price, and whether the list has a price for all of `context`.

        Raises LookupError or ValueError.
        """
        list_id = self._list_ids.get(ref.provider)
        if not list_id or not ref.model:
            raise LookupError(f"{ref} has no list price")
        price = calc_price(
            usage,
            ref.model,
            provider_id=list_id,
            genai_request_timestamp=at,
            price_context=dict(context),
        )
        is_lent = all(price.model is not listed for listed in price.provider.models)
        variants = [] if is_lent else price.model.price_variants or []
        fees = [f"{unit}_kcount" for unit in other_units(usage).keys() & FEES]
        is_sure = has_prices_for(variants, context)
        is_sure = is_sure and all(vars(price.model_price).get(fee) for fee in fees)
        factor = GEO_FACTOR.get(context.get("inference_geo"), Decimal(1))
        return price.total_price * factor, is_sure


def _usd_of_provider(usage: "TokenUsage", context: Mapping[str, Any]) -> Decimal | None:
    """Return what the provider says a call cost; None where it does not say, or not all of it.

    With own keys at a gateway, `cost` is its fee, and the model's provider sends another bill.
    """
    cost = _cost_in_response(usage, context)
    if context.get("is_byok") is not True:
        return None if cost is None else Decimal(str(cost))
    upstream = context.get("upstream_inference_cost")
    return None if upstream is None else Decimal(str(upstream)) + _fee_usd(usage, context)


def _fee_usd(usage: "TokenUsage", context: Mapping[str, Any]) -> Decimal:
    return Decimal(str(_cost_in_response(usage, context) or 0))


def _cost_in_response(usage: "TokenUsage", context: Mapping[str, Any]) -> Any:
    cost = getattr(usage, "cost", None)
    return context.get("cost") if cost is None else cost


def _cost(usd: Decimal, source: str, price_version: str) -> Cost:
    return Cost(round(usd * NANO), source, price_version) if 0 <= usd < MOST_USD else UNPRICED
