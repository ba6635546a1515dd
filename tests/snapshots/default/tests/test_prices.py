"""What an attempt costs without prices of one's own: reported, listed, estimated or unknown."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelResponse, NativeToolCallPart
from pydantic_ai.usage import RequestUsage

from desk import wiring
from desk.configuration import load_prices
from desk.runtime.errors import SettingsError
from desk.runtime.fleet import ModelRef, load
from desk.runtime.ledger.attempt import NANO
from desk.runtime.ledger.prices import UNPRICED, Cost, Prices, other_units

SMALL = ModelRef("openai", "gpt-4.1-mini")
LISTS = {"openai": "openai", "azure": "openai", "own": None}
FLEET = """
[chains.main]
models = ["openai:gpt-4.1-mini"]
[stages.answer]
chain = "main"
task_type = "answering"
"""
USAGE = RequestUsage(input_tokens=1000, output_tokens=100)
PLAIN = Prices(LISTS).cost(SMALL, USAGE)


def test_a_listed_model_costs_its_list_price() -> None:
    assert PLAIN.source == "list" and PLAIN.version and PLAIN.version.startswith("genai-prices")
    assert PLAIN.nano_usd == 1000 * 400 + 100 * 1600
    assert Prices(LISTS).cost(SMALL, None) == Cost(None, "none")


@pytest.mark.parametrize("ref", [ModelRef("own", "x"), ModelRef("openai", "nobody-knows-it")])
def test_a_model_without_a_price_is_unpriced_and_not_free(ref: ModelRef) -> None:
    assert Prices(LISTS).cost(ref, USAGE) == UNPRICED
    assert Prices(LISTS).find_name(ref) is None
    assert Prices(LISTS).context_window(ref) is None and Prices(LISTS).leaving(ref) is None


def test_counts_that_contradict_each_other_are_unpriced() -> None:
    wrong = RequestUsage(input_tokens=10, cache_read_tokens=20)
    assert Prices(LISTS).cost(SMALL, wrong) == UNPRICED


def test_a_price_follows_what_was_served() -> None:
    prices = Prices(LISTS, {"azure": None, "azure@eu": "gpt-4.1-mini"})
    assert prices.cost(ModelRef("azure", "ours", "eu"), USAGE).nano_usd == PLAIN.nano_usd
    assert prices.cost(ModelRef("azure", "ours"), USAGE) == UNPRICED
    assert prices.find_name(ModelRef("azure", "ours")) == "what the response names"
    served = prices.cost(ModelRef("openai", "gpt-4.1"), USAGE, served="gpt-4.1-mini-2025-04-14")
    assert served.nano_usd == PLAIN.nano_usd
    assert prices.find_name(SMALL) == "gpt-4.1-mini"
    assert prices.context_window(SMALL) and prices.leaving(SMALL) is None


def test_a_model_that_is_about_to_be_withdrawn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices(LISTS)
    listed = prices._find(SMALL)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(listed, "deprecated", True)
    assert prices.leaving(SMALL)


def test_a_place_where_a_model_may_cost_more_makes_an_estimate() -> None:
    prices = Prices(LISTS, {}, lambda ref: ref.deployment == "eu")
    assert prices.cost(ModelRef("openai", "gpt-4.1-mini", "eu"), USAGE).source == "estimated"
    assert prices.cost(SMALL, USAGE).source == "list"


@pytest.mark.parametrize(
    ("context", "source", "nano"),
    [
        ({"cost": "0.25"}, "provider", NANO // 4),
        ({"cost": "-1"}, "unpriced", None),
        ({"cost": "n/a"}, "unpriced", None),
        ({"cost": "0.25", "is_byok": True}, "estimated", PLAIN.nano_usd),
        ({"service_tier": "default"}, "list", PLAIN.nano_usd),
        ({"service_tier": "unheard-of"}, "estimated", PLAIN.nano_usd),
        ({"traffic_type": "PROVISIONED_THROUGHPUT"}, "estimated", PLAIN.nano_usd),
        ({"inference_geo": "us"}, "estimated", PLAIN.nano_usd),
    ],
)
def test_what_a_response_says_of_its_price(
    context: dict[str, Any], source: str, nano: int | None
) -> None:
    cost = Prices(LISTS).cost(SMALL, USAGE, context=context)
    assert (cost.source, cost.nano_usd) == (source, nano)


@pytest.mark.parametrize(
    ("details", "settings", "source", "tier"),
    [
        ({}, {"temperature": 0}, "list", None),
        ({}, {"openai_service_tier": "flex"}, "estimated", "flex"),
        ({"service_tier": "default"}, {"openai_service_tier": "flex"}, "list", "default"),
        ({}, {"extra_body": {"serviceTier": "flex"}}, "estimated", "flex"),
        ({}, {"bedrock_performance_configuration": {"latency": "optimized"}}, "estimated", "asked"),
    ],
)
def test_a_tier_that_was_asked_for_and_is_not_confirmed_makes_an_estimate(
    details: dict[str, Any], settings: dict[str, Any], source: str, tier: str | None
) -> None:
    prices = Prices(LISTS)
    context = prices.context(ModelResponse(parts=[], provider_details=details), settings)
    assert prices.cost(SMALL, USAGE, context=context).source == source
    assert prices.tier(context) == tier


@pytest.mark.parametrize(
    ("details", "tier"),
    [
        ({"speed": "fast"}, "speed=fast"),
        ({"service_tier": "default", "inference_geo": "us"}, "default inference_geo=us"),
        ({"traffic_type": "SET ASIDE", "is_byok": True}, "traffic_type=SET_ASIDE is_byok=True"),
        ({"speed": "standard", "is_byok": False}, None),
    ],
)
def test_the_ledger_keeps_what_made_an_estimate(details: dict[str, Any], tier: str | None) -> None:
    prices = Prices(LISTS)
    context = prices.context(ModelResponse(parts=[], provider_details=details), None)
    assert prices.tier(context) == tier
    source = prices.cost(SMALL, USAGE, context=context).source
    assert prices.cost(SMALL, USAGE, context={"service_tier": tier}).source == source


def test_tools_of_a_provider_make_an_estimate() -> None:
    prices = Prices(LISTS)
    context = prices.context(ModelResponse(parts=[NativeToolCallPart("web_search", {})]), None)
    assert prices.cost(SMALL, USAGE, context=context).source == "estimated"
    assert prices.tier(context) == "fees=fees"
    searched = RequestUsage(input_tokens=1000, output_tokens=100, web_searches=2)
    assert other_units(searched) == {"web_searches": 2}
    assert prices.cost(SMALL, searched).source == "estimated"


def test_what_cannot_be_a_cost_is_unpriced() -> None:
    assert Cost.of(Decimal(10**9), "list", "1") == UNPRICED


def test_prices_that_nobody_would_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "PRICES", None)
    (tmp_path / "fleet.toml").write_text(FLEET)
    assert load_prices(tmp_path, load(tmp_path / "fleet.toml")).own == ()
    (tmp_path / "prices.toml").write_text("")
    with pytest.raises(SettingsError, match="scaffold add extra prices"):
        load_prices(tmp_path, load(tmp_path / "fleet.toml"))
