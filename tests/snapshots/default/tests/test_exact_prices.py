"""Prices of the team's own, and exact ones of tiers, regions and own keys at a gateway."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_ai.messages import ModelResponse, NativeToolCallPart
from pydantic_ai.usage import RequestUsage

from desk.configuration import load_prices
from desk.runtime.errors import SettingsError
from desk.runtime.fleet import ModelRef, load
from desk.runtime.ledger.attempt import NANO
from desk.runtime.ledger.exact_prices import ExactPrices
from desk.runtime.ledger.prices import UNPRICED, Cost

SMALL = ModelRef("openai", "gpt-4.1-mini")
OWN = ModelRef("openai", "x")
FLEET = """
[chains.main]
models = ["own:m"]
[stages.answer]
chain = "main"
task_type = "answering"
"""
LISTS = {"openai": "openai", "anthropic": "anthropic"}
USAGE = RequestUsage(input_tokens=1000, output_tokens=100)


def price(own: dict[str, Any], usage: Any = USAGE, **more: Any) -> Cost:
    """Return what a call to the model costs that has this price."""
    return ExactPrices(LISTS, own={str(OWN): own}).cost(OWN, usage, **more)


@pytest.mark.parametrize(
    ("own", "usd"),
    [
        ({"input_usd": "1", "output_usd": "2"}, "0.0012"),
        ({"input_usd": "1", "output_usd": "2", "call_usd": "0.5"}, "0.5012"),
        ({"hour_usd": "36", "parallel": 2}, "0.05"),
        (
            {
                "input_usd": "1",
                "output_usd": "2",
                "tiers": [{"above_tokens": 500, "input_usd": "9"}],
            },
            "0.009",
        ),
    ],
)
def test_own_prices_go_first(own: dict[str, Any], usd: str) -> None:
    cost = price(own, seconds=10, context={"cost": 7})
    assert (cost.nano_usd, cost.source) == (Decimal(usd) * NANO, "override")


def test_cached_tokens_count_once() -> None:
    usage = RequestUsage(input_tokens=1000, output_tokens=100, cache_read_tokens=400)
    cost = price({"input_usd": "2", "output_usd": "10", "cache_read_usd": "0.5"}, usage)
    assert cost.nano_usd == (600 * 2 + 400 * 0.5 + 100 * 10) * NANO / 1_000_000


def test_own_prices_of_units_and_batches() -> None:
    searched = RequestUsage(
        input_tokens=1000,
        output_tokens=10,
        web_searches=2,
        input_audio_tokens=100,
        cache_audio_read_tokens=0,
    )
    units = {"web_searches": "0.01", "input_audio_tokens": "0.001"}
    own = {"input_usd": "0", "output_usd": "0", "unit_usd": units, "batch_factor": "0.5"}
    assert price(own, searched).nano_usd == Decimal("0.12") * NANO
    batch = {"service_tier": "batch"}
    assert price(own, searched, context=batch).nano_usd == Decimal("0.06") * NANO


@pytest.mark.parametrize(
    ("unit", "whole"),
    [
        ("cache_audio_read_tokens", {"cache_read_tokens": 10}),
        ("cache_write_1h_tokens", {"cache_write_tokens": 10}),
        ("output_audio_tokens", {"output_tokens": 10}),
    ],
)
def test_a_unit_with_a_price_of_its_own_is_not_counted_twice(
    unit: str, whole: dict[str, int]
) -> None:
    own = {"input_usd": "1000000", "output_usd": "1000000", "unit_usd": {unit: "3"}}
    counts: dict[str, Any] = {"input_tokens": 10, **whole, unit: 10}
    rest = 10 if unit.startswith("output") else 0
    assert price(own, RequestUsage(**counts)).nano_usd == (30 + rest) * NANO


def test_a_discount_is_a_factor_on_the_list_price_from_a_day_on() -> None:
    days = [{"factor": "1"}, {"factor": "0.5", "since": "2026-01-01"}]
    prices = ExactPrices(LISTS, own={str(SMALL): days, str(OWN): {"factor": "2"}})
    then, now = (
        prices.cost(SMALL, USAGE, at=datetime(year, 6, 1, tzinfo=UTC)).nano_usd or 0
        for year in (2025, 2026)
    )
    assert then == 2 * now > 0
    assert prices.find_name(SMALL) == "gpt-4.1-mini x 0.5"
    assert prices.find_name(OWN) is None and prices.cost(OWN, USAGE) == UNPRICED
    assert set(prices.own) == {str(SMALL), str(OWN)}


def test_what_was_not_answered_costs_nothing_but_a_servers_time() -> None:
    assert price({"hour_usd": "3.60"}, None, seconds=2).nano_usd == 2_000_000
    assert price({"hour_usd": "3.60"}, None) == Cost(None, "none")
    assert price({"hour_usd": "3.60", "input_usd": "1"}) == UNPRICED
    assert price({"factor": "2"}, None, seconds=2) == Cost(None, "none")


def test_counts_that_contradict_each_other_are_unpriced() -> None:
    wrong = RequestUsage(input_tokens=10, cache_read_tokens=20)
    assert price({"input_usd": "1", "output_usd": "1"}, wrong) == UNPRICED


@pytest.mark.parametrize(
    "text", ['["a:b"]\n', '["a:b"]\nhour_usd = "1"\nunit_usd = {x = "1"}\n', "["]
)
def test_a_wrong_price_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        ExactPrices(LISTS).read_own(tmp_path / "prices.toml")
    with pytest.raises(ValidationError):
        ExactPrices(LISTS, own={"a:b": {}})


def test_prices_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    fleet = load(tmp_path / "fleet.toml")
    assert not load_prices(tmp_path, fleet).own
    (tmp_path / "prices.toml").write_text('["own:m"]\ninput_usd = 1\noutput_usd = 2\n')
    assert load_prices(tmp_path, fleet).find_name(ModelRef("own", "m")) == "prices.toml"


@pytest.mark.parametrize(
    ("context", "source", "usd"),
    [
        ({"cost": "0.25"}, "provider", "0.25"),
        ({"cost": "0.25", "is_byok": True, "upstream_inference_cost": "0.5"}, "provider", "0.75"),
        ({"cost": "0.25", "is_byok": True}, "estimated", "0.25056"),
        ({"service_tier": "unheard-of"}, "estimated", "0.00056"),
        ({"inference_geo": "us"}, "list", "0.000616"),
        ({"cost": "-1"}, "unpriced", None),
    ],
)
def test_what_a_response_says_of_its_price(
    context: dict[str, Any], source: str, usd: str | None
) -> None:
    cost = ExactPrices(LISTS).cost(SMALL, USAGE, context=context)
    assert cost.source == source
    assert cost.nano_usd == (None if usd is None else Decimal(usd) * NANO)


def test_a_tier_of_the_list_has_its_price() -> None:
    prices, model = ExactPrices(LISTS), ModelRef("openai", "gpt-5.4")
    flex = prices.cost(model, USAGE, context={"service_tier": "flex"})
    assert flex.source == "list" and 2 * (flex.nano_usd or 0) == prices.cost(model, USAGE).nano_usd


@pytest.mark.parametrize(
    ("details", "settings", "tier"),
    [
        ({}, {}, None),
        ({"service_tier": "flex"}, {}, "flex"),
        ({"traffic_type": "ON_DEMAND_FLEX"}, {}, "flex"),
        ({}, {"openai_service_tier": "priority"}, "priority asked=asked"),
        ({}, {"extra_body": {"serviceTier": {"type": "reserved"}}}, "reserved asked=asked"),
        (
            {},
            {"bedrock_performance_configuration": {"latency": "optimized"}},
            "optimized asked=asked",
        ),
        ({"inference_geo": "us"}, {}, "inference_geo=us"),
        ({"is_byok": False, "cost": None}, {}, None),
        ({"is_byok": True, "cost": 0.25}, {}, "is_byok=True cost=0.25"),
        ({"is_byok": True, "service_tier": "flex"}, {}, "flex is_byok=True cost=0"),
    ],
)
def test_the_tier_names_all_that_changes_a_price(
    details: dict[str, Any], settings: dict[str, Any], tier: str | None
) -> None:
    prices = ExactPrices(LISTS)
    context = prices.context(ModelResponse(parts=[], provider_details=details), settings)
    assert prices.tier(context) == tier
    again = prices.cost(SMALL, USAGE, context={"service_tier": tier})
    assert prices.cost(SMALL, USAGE, context=context) == again


def test_tools_of_a_provider_that_nobody_counted_make_an_estimate() -> None:
    prices = ExactPrices(LISTS)
    searched = ModelResponse(parts=[NativeToolCallPart("web_search", {})])
    context = prices.context(searched, None)
    assert context["fees"] == "fees"
    assert prices.cost(SMALL, USAGE, context=context).source == "estimated"
    counted = RequestUsage(input_tokens=1000, web_searches=1)
    claude = prices.cost(ModelRef("anthropic", "claude-haiku-4-5"), counted)
    assert claude.source == "list" and (claude.nano_usd or 0) > 10_000_000
