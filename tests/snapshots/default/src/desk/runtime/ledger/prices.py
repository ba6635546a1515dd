"""What an attempt cost: what its provider reports, else the list price.

A cost that differs from the list by an amount that is not known is "estimated", one of a model
without a price "unpriced". The extra `prices` knows more of them, and the team's own.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from genai_prices import Usage, calc_price
from genai_prices.types import ModelInfo, PriceCalculation

from ..errors import SettingsError
from ..fleet import ModelRef
from .attempt import NANO

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.usage import RequestUsage

    TokenUsage = RequestUsage | Usage
    """What a provider reports of a call, or the tokens that a report computes a price for."""

MOST_USD = 10**9  # of one attempt: more is a mistake, and does not fit into a column
PLAIN: Mapping[str, Collection[object]] = {
    "service_tier": (None, "default", "standard", "standard_only", "auto", "on_demand"),
    "traffic_type": (None, "ON_DEMAND", "TRAFFIC_TYPE_UNSPECIFIED"),
    "speed": (None, "standard"),
    "processing": (None,),
    "inference_geo": (None, "global", "not_available"),
    "is_byok": (None, False),
    "fees": (None,),
}
"""What the plain prices of the list are for, in the words of responses and of `context`."""
FEES = frozenset({"web_searches", "code_executions", "storage_searches", "social_searches"})
"""Units of a provider's own tools. A list without a price for one of them lacks a fee."""
_LIST_VERSION = f"genai-prices {version('genai-prices')}"
_COLUMNS = {
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("output_reasoning_tokens", "requests"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None

    @classmethod
    def of(cls, usd: Decimal, source: str, price_version: str) -> Self:
        """Round once; unpriced where this cannot be what an attempt costs."""
        if not 0 <= usd < MOST_USD:
            return cls(None, "unpriced")
        return cls(round(usd * NANO), source, price_version)


UNPRICED = Cost(None, "unpriced")


class Prices:
    """Prices by model.

    `list_ids`: provider -> its id in genai-prices. `deployed`: place, or provider for all of its
    places -> the model served there under whatever name; None: what the response names.
    `regional`: whether a model may cost more there than the list says.
    """

    own: Collection[str] = ()
    """The models that prices.toml has prices for, as it names them."""

    def __init__(
        self,
        list_ids: Mapping[str, str | None],
        deployed: Mapping[str, str | None] | None = None,
        regional: Callable[[ModelRef], bool] = lambda _: False,
    ) -> None:
        self._list_ids, self._deployed, self._regional = list_ids, deployed or {}, regional

    def read_own(self, path: Path) -> None:
        """Read prices.toml if there is one. Raises SettingsError."""
        if path.exists():  # list prices instead would be wrong, and nobody would notice
            raise SettingsError(
                f"{path.name} needs the extra prices",
                "run `scaffold add extra prices`, or take the file away",
            )

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

        `context`: see the method. `at`: when the attempt was made, for the prices of that day.
        `seconds`: how long it took, for a server paid by the hour. `served`: the model that the
        response names, whose list price it is.
        """
        del seconds
        context, at = context or {}, at or datetime.now(UTC)
        try:
            if (reported := self._usd_in_response(usage or Usage(), context)) is not None:
                return Cost.of(reported, "provider", ref.provider)
            if usage is None:
                return Cost(None, "none")  # skipped, failed, cut off, or without its tokens
            usd, is_sure = self._list_usd(self._ref_of_price(ref, served), usage, context, at)
            source = "list" if is_sure and not self._regional(ref) else "estimated"
            return Cost.of(usd, source, _LIST_VERSION)
        except (LookupError, ValueError, ArithmeticError):
            return UNPRICED  # no price, or counts that contradict each other

    def context(
        self, response: "ModelResponse", settings: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return what the response says about its price, and what may change it besides."""
        context: dict[str, Any] = dict(response.provider_details or {})
        if context.get("service_tier") is None:
            context["service_tier"] = find_tier(settings or {})
        tools = any(part.part_kind == "builtin-tool-call" for part in response.parts)
        if tools or any("server_side_tools" in key for key in response.usage.details):
            context["fees"] = "fees"  # of the provider's own tools, which nobody may have counted
        return context

    def tier(self, context: Mapping[str, Any]) -> str | None:
        """Return the ledger's `service_tier`: the tier, and what else the price depended on."""
        tier = context.get("service_tier")
        words = [str(tier)] if tier else []
        # `costs reprice` reads them: without these an estimate would pass for the list price.
        words += [
            f"{key}={context[key]}"
            for key, plain in PLAIN.items()
            if key != "service_tier" and context.get(key) not in plain
        ]
        return " ".join("_".join(word.split()) for word in words) or None

    def find_name(self, ref: ModelRef) -> str | None:
        """Return the name of the price that a model has, or None where it is unpriced."""
        place = self._place(ref)
        if place in self._deployed and not self._deployed[place]:
            return "what the response names"
        listed = self._find(self._ref_of_price(ref, None))
        return listed and listed.id

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

    def _place(self, ref: ModelRef) -> str:
        return ref.place if ref.place in self._deployed else ref.provider

    def _find(self, ref: ModelRef) -> ModelInfo | None:
        """Return a model's entry in the list, which matches by prefix: `find_name` names it."""
        list_id = self._list_ids.get(ref.provider)
        if list_id and ref.model:
            with suppress(LookupError):
                return calc_price(Usage(), ref.model, provider_id=list_id).model
        return None

    def _usd_in_response(self, usage: "TokenUsage", context: Mapping[str, Any]) -> Decimal | None:
        """Return what the provider says a call cost; None where it does not say all of it."""
        cost = cost_in_response(usage, context)
        # With own keys at a gateway, `cost` is its fee, and the model's provider sends a bill.
        return None if cost is None or context.get("is_byok") is True else Decimal(str(cost))

    def _list_usd(
        self, ref: ModelRef, usage: "TokenUsage", context: Mapping[str, Any], at: datetime
    ) -> tuple[Decimal, bool]:
        """Return the list price, and whether it is sure. Raises LookupError or ValueError."""
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
        return price.total_price, self._is_sure(price, usage, context)

    def _is_sure(
        self, price: PriceCalculation, usage: "TokenUsage", context: Mapping[str, Any]
    ) -> bool:
        """Return whether a list price is surely what an attempt of this context costs."""
        del price
        is_plain = all(context.get(key) in plain for key, plain in PLAIN.items())
        return is_plain and not other_units(usage).keys() & FEES


def cost_in_response(usage: "TokenUsage", context: Mapping[str, Any]) -> Any:
    """Return what the response itself says of its cost."""
    cost = getattr(usage, "cost", None)
    return context.get("cost") if cost is None else cost


def find_tier(settings: Mapping[str, Any]) -> str | None:
    """Return the tier that a request's settings, or the body that they add to, ask for."""
    body: Any = settings.get("extra_body")
    asked = {**settings, **(cast("dict[str, Any]", body) if isinstance(body, dict) else {})}
    for name, value in asked.items():
        if "tier" in name.lower() or "performance" in name.lower():
            return value if isinstance(value, str) else "asked"
    return None


def other_units(usage: "TokenUsage") -> dict[str, int | float]:
    """Return what is billed beside text: web searches, tokens of audio or of an hour's cache."""
    counts = {key: value for key, value in vars(usage).items() if value}
    return {key: count for key, count in counts.items() if is_other_unit(key)}


def is_other_unit(key: str) -> bool:
    """Return whether a list may price this unit, which has no column of its own in the ledger."""
    return key not in _COLUMNS and hasattr(Usage(), key)
