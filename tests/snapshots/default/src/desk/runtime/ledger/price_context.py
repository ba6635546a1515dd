"""What a price depends on besides tokens: the tier, speed, batch and place that served a call."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from genai_prices.types import PriceVariant

from .prices import FEES, cost_in_response, other_units

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

BATCH = {"processing": "batch"}
USUAL: Mapping[str, Collection[str | None]] = {
    "service_tier": (None, "default", "standard", "standard_only", "auto", "on_demand", "batch"),
    "speed": (None, "standard"),
    "processing": (None,),
    "inference_geo": (None, "global", "not_available", "us"),
    "asked": (None,),
    "fees": (None,),
}
"""What the plain prices of the list are for. Anything else has a variant there, or no price."""
OWN_KEYS = ("is_byok", "cost")
"""With own keys at a gateway, its fee comes on top of what the model's provider bills."""
TRAFFIC = {
    "ON_DEMAND": "on_demand",
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}
"""Vertex AI's `traffic_type` as a tier; another one, provisioned throughput say, is its own."""
GEO_FACTOR: Mapping[str | None, Decimal] = {"us": Decimal("1.1")}
"""https://platform.claude.com/docs/en/manage-claude/data-residency"""


def price_context(response: "ModelResponse", settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the response says about its price, else what the request asked for."""
    context: dict[str, Any] = dict(response.provider_details or {})
    tier, asked = context.get("service_tier"), _tier_of_request(settings or {})
    if tier is None and (traffic := context.get("traffic_type")):
        tier = TRAFFIC.get(str(traffic), str(traffic).lower())
    if tier is None and asked not in USUAL["service_tier"]:
        tier, context["asked"] = asked, "asked"  # the response does not confirm it
    own_tools = any(part.part_kind == "builtin-tool-call" for part in response.parts)
    own_tools = own_tools or any("server_side_tools" in key for key in response.usage.details)
    if own_tools and not other_units(response.usage).keys() & FEES:
        context["fees"] = "fees"  # nobody counted what the provider's own tools did
    context["service_tier"] = tier
    if context.get("is_byok") is True:
        context["cost"] = cost_in_response(response.usage, context)  # the gateway's fee
    known = {key: context.get(key) for key in USUAL}
    return context | {key: "_".join(str(one).split()) for key, one in known.items() if one}


def _tier_of_request(settings: Mapping[str, Any]) -> str | None:
    """Return the tier that a request's settings name, in pydantic-ai's words or in its body."""
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
    """Return the ledger's `service_tier`: all of a context that changes the price, in words."""
    changing: dict[str, Any] = {
        key: value for key, value in context.items() if value not in USUAL.get(key, [value])
    }
    if (geo := context.get("inference_geo")) in GEO_FACTOR:
        changing["inference_geo"] = geo
    if context.get("is_byok") is True:
        changing["is_byok"] = True
        changing["cost"] = "".join(str(context.get("cost") or 0).split())
    tier = changing.pop("service_tier", None) or context.get("service_tier")
    words = [*([str(tier)] if tier else []), *(f"{key}={one}" for key, one in changing.items())]
    return " ".join(words) or None


def read_tier_text(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context with the words of its `service_tier` where they belong."""
    found = {**context, "service_tier": None}
    for word in str(context.get("service_tier") or "").split():
        key, _, value = word.rpartition("=")
        if key in OWN_KEYS:
            found[key] = value == "True" if key == "is_byok" else value
        else:
            found[key if key in USUAL else "service_tier"] = value if key in USUAL else word
    return {**found, **BATCH} if found["service_tier"] == "batch" else found


def has_prices_for(variants: Sequence[PriceVariant], context: Mapping[str, Any]) -> bool:
    """Return whether a list has prices for the tier, speed and processing of an answer."""
    return all(
        context.get(key) in usual or any(one.when.get(key) == context[key] for one in variants)
        for key, usual in USUAL.items()
    )
