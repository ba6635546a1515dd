"""Prices of the rendered workspace follow what was served, and what the response says of it."""

from typing import Any

import pytest

from tests.priced import PROVIDERS, listed, package, prices, ref, usage_of

__all__ = ["listed", "package", "prices"]


@pytest.mark.parametrize(
    ("deployed", "served", "priced_as"),
    [
        (None, "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("gpt-4.1-nano", "gpt-4.1-mini-2025-04-14", "gpt-4.1-nano"),
        (None, None, None),
        (None, "nobody-knows-it", None),
    ],
)
def test_a_deployment_is_priced_by_what_it_serves_never_by_its_name(
    prices: Any, deployed: str | None, served: str | None, priced_as: str | None
) -> None:
    table = prices.ExactPrices({"azure": "openai", "openai": "openai"}, {"azure": deployed})
    cost = table.cost(ref(prices, "azure:gpt-4"), usage_of(), served=served)
    if priced_as is None:
        assert (cost.nano_usd, cost.source) == (None, "unpriced")
    else:
        same = table.cost(ref(prices, f"openai:{priced_as}"), usage_of())
        assert (cost.nano_usd, cost.source) == (same.nano_usd, "list")


def test_a_deployment_leaves_when_the_model_it_serves_does(
    prices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = {"azure": "openai"}
    old = prices.ExactPrices(lists, {"azure": "gpt-4.1-nano"})
    found = old._find(ref(prices, "azure:gpt-4.1-nano"))
    monkeypatch.setattr(found, "deprecated", True)
    assert old.leaving(ref(prices, "azure:ours"))
    assert not prices.ExactPrices(lists, {"azure": "gpt-4.1"}).leaving(
        ref(prices, "azure:gpt-4.1-nano")
    )


@pytest.mark.parametrize(
    ("asked", "served", "priced_as"),
    [
        ("gpt-4.1", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),  # another one answered
        ("gpt-4.1", "an-alias", "gpt-4.1"),
        ("gpt-4.1", None, "gpt-4.1"),
    ],
)
def test_the_price_follows_what_was_served(
    prices: Any, listed: Any, asked: str, served: str | None, priced_as: str
) -> None:
    cost = listed.cost(ref(prices, f"openai:{asked}"), usage_of(), served=served)
    assert cost == listed.cost(ref(prices, f"openai:{priced_as}"), usage_of())


@pytest.mark.parametrize(
    ("response_details", "nano", "source"),
    [
        ({"cost": 0.5, "is_byok": False, "upstream_inference_cost": 0.5}, 500_000_000, "provider"),
        ({"cost": 0.5}, 500_000_000, "provider"),
        ({"cost": 0.02, "is_byok": True, "upstream_inference_cost": 0.4}, 420_000_000, "provider"),
        ({"cost": 0, "is_byok": True, "upstream_inference_cost": 0.4}, 400_000_000, "provider"),
    ],
)
def test_own_keys_at_a_gateway_cost_their_provider_and_the_fee(
    prices: Any, listed: Any, response_details: dict[str, Any], nano: int, source: str
) -> None:
    cost = listed.cost(
        ref(prices, "openrouter:openai/gpt-4.1-mini"), usage_of(), context=response_details
    )
    assert (cost.nano_usd, cost.source) == (nano, source)


def test_own_keys_whose_cost_is_not_said_are_an_estimate_with_the_fee(
    prices: Any, listed: Any
) -> None:
    model = ref(prices, "openrouter:openai/gpt-4.1-mini")
    cost = listed.cost(model, usage_of(), context={"cost": 0.02, "is_byok": True})
    assert cost.source == "estimated"
    assert cost.nano_usd == listed.cost(model, usage_of()).nano_usd + 20_000_000


@pytest.mark.parametrize(
    ("model", "context", "source"),
    [
        ("openai:gpt-4.1-mini", {"service_tier": "default"}, "list"),
        ("openai:gpt-4.1-mini", {"service_tier": "scale"}, "estimated"),
        ("openai:gpt-4.1-mini", {"service_tier": "a tier to come"}, "estimated"),
        ("groq:llama-3.3-70b-versatile", {"service_tier": "on_demand"}, "list"),
        ("groq:llama-3.3-70b-versatile", {"service_tier": "flex"}, "estimated"),
        ("anthropic:claude-haiku-4-5", {"speed": "fast"}, "estimated"),
        ("deepseek:deepseek-chat", {"service_tier": "batch"}, "estimated"),
    ],
)
def test_a_tier_without_a_price_of_its_own_is_an_estimate(
    prices: Any, listed: Any, model: str, context: dict[str, str], source: str
) -> None:
    assert listed.cost(ref(prices, model), usage_of(), context=context).source == source


@pytest.mark.parametrize("tier", ["flex", "priority", "fast"])
def test_openais_tiers_have_prices_of_their_own(prices: Any, listed: Any, tier: str) -> None:
    model = ref(prices, "openai:gpt-5.4")
    plain = listed.cost(model, usage_of()).nano_usd
    cost = listed.cost(model, usage_of(), context={"service_tier": tier})
    assert cost.source == "list"
    assert (cost.nano_usd < plain) == (tier == "flex")


def test_inference_in_the_us_costs_a_tenth_more(prices: Any, listed: Any) -> None:
    model = ref(prices, "anthropic:claude-opus-4-6")
    plain = listed.cost(model, usage_of(), context={"inference_geo": "global"})
    cost = listed.cost(model, usage_of(), context={"inference_geo": "us"})
    assert cost.nano_usd * 10 == plain.nano_usd * 11
    assert cost.source == "list"


def test_a_regional_endpoint_is_an_estimate_unless_prices_toml_says(prices: Any) -> None:
    model = ref(prices, "openai:gpt-4.1-mini@eu")
    own = {str(model): {"factor": "1.1"}}
    tables = [
        prices.ExactPrices({"openai": "openai"}, {}, lambda one: one.deployment == "eu", o)
        for o in ({}, own)
    ]
    assert [table.cost(model, usage_of()).source for table in tables] == ["estimated", "override"]


@pytest.mark.parametrize("at", [None, "old"])
def test_a_place_that_fleet_toml_names_no_more_is_not_priced_by_its_name(
    prices: Any, at: str | None
) -> None:
    table = prices.ExactPrices({"azure": "openai"}, {"azure": None, "azure@eu": "gpt-4.1"})
    gone = prices.ModelRef("azure", "gpt-4", at)
    assert table.cost(gone, usage_of()).source == "unpriced"
    served = table.cost(gone, usage_of(), served="gpt-4.1-nano")
    assert served.nano_usd < table.cost(prices.ModelRef("azure", "x", "eu"), usage_of()).nano_usd


def test_a_free_variant_is_not_priced_as_what_it_is_a_variant_of(prices: Any, listed: Any) -> None:
    model = "meta-llama/llama-3.3-70b-instruct"
    free = ref(prices, f"openrouter:{model}:free")
    assert listed.cost(free, usage_of(), served=model).nano_usd == 0
    assert listed.cost(ref(prices, f"openrouter:{model}"), usage_of(), served=model).nano_usd > 0


@pytest.mark.parametrize(
    ("own", "context", "seconds", "booked"),
    [
        ({"hour_usd": "3.60", "parallel": 4}, {}, 2.0, (500_000, "override")),
        ({"hour_usd": "3.60", "call_usd": "0.001"}, {}, 1.0, (2_000_000, "override")),
        ({"hour_usd": "3.60"}, {}, None, (None, "none")),  # nothing was sent
        ({"hour_usd": "3.60", "input_usd": "1"}, {}, 2.0, (None, "none")),
        ({"input_usd": "1", "output_usd": "1"}, {}, 2.0, (None, "none")),
        ({"factor": "2"}, {}, 2.0, (None, "none")),
        (None, {"cost": 0.25}, 2.0, (250_000_000, "provider")),
        (None, {}, 2.0, (None, "none")),
    ],
)
def test_an_answer_without_tokens_costs_what_does_not_hang_on_them(
    prices: Any,
    own: dict[str, Any] | None,
    context: dict[str, Any],
    seconds: float | None,
    booked: tuple[int | None, str],
) -> None:
    table = prices.ExactPrices(PROVIDERS, own={"openai:m": own} if own else {})
    cost = table.cost(prices.ModelRef("openai", "m"), None, context=context, seconds=seconds)
    assert (cost.nano_usd, cost.source) == booked
