"""Prices of the team's own, and exact ones of tiers, regions, batches and own keys at a gateway."""

import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_prices import Usage
from genai_prices.types import PriceCalculation
from pydantic import ValidationError

from ..errors import SettingsError
from ..fleet import ModelRef
from ..settings import explain_invalid
from . import price_context
from .own_prices import OWN_PRICES, OwnPrice
from .prices import FEES, UNPRICED, Cost, Prices, cost_in_response, other_units

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

    from .prices import TokenUsage

OWN = "prices.toml"


class ExactPrices(Prices):
    """Prices by model, the team's own first. Raises ValidationError where one of those is wrong."""

    def __init__(
        self,
        list_ids: Mapping[str, str | None],
        deployed: Mapping[str, str | None] | None = None,
        regional: Callable[[ModelRef], bool] = lambda _: False,
        own: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(list_ids, deployed, regional)
        self._use(own or {})

    def read_own(self, path: Path) -> None:
        try:
            self._use(tomllib.loads(path.read_text("utf-8")) if path.exists() else {})
        except ValidationError as error:
            raise explain_invalid(error, f"{path.name}: ") from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path.name} is not valid TOML ({error})", "correct it") from None

    def _use(self, own: Mapping[str, object]) -> None:
        self._own = OWN_PRICES.validate_python(
            {ref: price if isinstance(price, list) else [price] for ref, price in own.items()}
        )
        self.own = self._own.keys()

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
        at, context = at or datetime.now(UTC), price_context.read_tier_text(context or {})
        own = self._own_price(ref, at)
        if own is None:
            return super().cost(ref, usage, context=context, at=at, served=served)
        by_time = own.factor is None and own.is_paid_by_time and seconds is not None
        if usage is None and not by_time:
            return Cost(None, "none")  # skipped, failed, cut off, or without its tokens
        try:
            if own.factor is None:
                return Cost.of(own.usd(usage or Usage(), context, seconds), "override", OWN)
            price_of, context = self._ref_of_price(ref, served), {**context, "is_byok": None}
            usd, _ = self._list_usd(price_of, usage or Usage(), context, at)
            return Cost.of(own.factor * usd, "override", OWN)
        except (LookupError, ValueError, ArithmeticError):
            return UNPRICED  # no price, or counts that contradict each other

    def context(
        self, response: "ModelResponse", settings: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        return price_context.price_context(response, settings)

    def tier(self, context: Mapping[str, Any]) -> str | None:
        return price_context.tier_text(context)

    def find_name(self, ref: ModelRef) -> str | None:
        own = self._own_price(ref, datetime.now(UTC))
        if own and own.factor is None:
            return OWN
        listed = super().find_name(ref)
        return f"{listed} x {own.factor}" if own and listed else listed

    def _own_price(self, ref: ModelRef, at: datetime) -> OwnPrice | None:
        begun = [own for own in self._own.get(str(ref), ()) if own.since <= at.date()]
        return max(begun, key=lambda own: own.since, default=None)

    def _usd_in_response(self, usage: "TokenUsage", context: Mapping[str, Any]) -> Decimal | None:
        """Return what the provider says a call cost, and with own keys the gateway's fee too."""
        if context.get("is_byok") is not True:
            return super()._usd_in_response(usage, context)
        upstream = context.get("upstream_inference_cost")
        return None if upstream is None else Decimal(str(upstream)) + _fee_usd(usage, context)

    def _list_usd(
        self, ref: ModelRef, usage: "TokenUsage", context: Mapping[str, Any], at: datetime
    ) -> tuple[Decimal, bool]:
        usd, is_sure = super()._list_usd(ref, usage, context, at)
        usd *= price_context.GEO_FACTOR.get(context.get("inference_geo"), Decimal(1))
        if context.get("is_byok") is True:  # the model's provider bills it, the gateway a fee
            return usd + _fee_usd(usage, context), False
        return usd, is_sure

    def _is_sure(
        self, price: PriceCalculation, usage: "TokenUsage", context: Mapping[str, Any]
    ) -> bool:
        is_lent = all(price.model is not listed for listed in price.provider.models)
        variants = [] if is_lent else price.model.price_variants or []
        fees = other_units(usage).keys() & FEES
        has_fees = all(vars(price.model_price).get(f"{unit}_kcount") for unit in fees)
        return has_fees and price_context.has_prices_for(variants, context)


def _fee_usd(usage: "TokenUsage", context: Mapping[str, Any]) -> Decimal:
    return Decimal(str(cost_in_response(usage, context) or 0))
