"""List prices of the rendered workspace: equal to genai-prices to the nano-dollar."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.usage import RequestUsage

from tests import evaluation
from tests.examples import examples
from tests.priced import PROVIDERS, listed, nano, own, package, prices, ref, usages

__all__ = ["listed", "package", "prices"]


RECORDED = evaluation.DATA / "replay" / "routerarena-sub10.jsonl.gz"


LISTED = [
    (name, model.id)
    for name, id_ in PROVIDERS.items()
    for provider in get_snapshot().providers
    if provider.id == id_
    for model in provider.models
]


whens = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(
    lambda when: when.replace(tzinfo=UTC)
)


contexts = st.sampled_from(
    [
        {},
        {"processing": "batch"},
        {"service_tier": "flex"},
        {"service_tier": "priority", "finish_reason": "stop"},
        {"service_tier": "default"},
        {"speed": "fast"},
    ]
)


@given(st.sampled_from(LISTED), usages, st.booleans(), whens, contexts)
@settings(max_examples=examples(500), deadline=None)
def test_list_prices_equal_genai_prices(
    prices: Any,
    listed: Any,
    model: tuple[str, str],
    usage: dict[str, Any],
    adds_up: bool,
    when: datetime,
    context: dict[str, str],
) -> None:
    """For every model, usage, date and tier; also where the counts contradict each other."""
    if adds_up:
        usage["cache_write_1h_tokens"] = min(
            usage["cache_write_1h_tokens"], usage["cache_write_tokens"]
        )
        usage["input_tokens"] += sum(usage[k] for k in ("cache_read_tokens", "cache_write_tokens"))
        usage["input_tokens"] += usage["input_audio_tokens"]
        usage["output_tokens"] += usage["output_reasoning_tokens"]
    provider, name = model
    asked = RequestUsage(**{key: value for key, value in usage.items() if value})
    try:
        expected = nano(
            calc_price(
                asked,
                name,
                provider_id=PROVIDERS[provider],
                genai_request_timestamp=when,
                price_context=context,
            ).total_price
        )
    except (ValueError, LookupError):
        expected = None
    got = listed.cost(prices.ModelRef(provider, name), asked, at=when, context=context)
    assert got.nano_usd == expected
    assert got.source in (["unpriced"] if expected is None else ["list", "estimated"])


@evaluation.needs(RECORDED)
def test_recorded_provider_costs_are_reproduced(prices: Any, listed: Any) -> None:
    names = {"claude-3-haiku-20240307": "anthropic", "gemini-2.0-flash-001": "google"}
    rows = 0
    for line in gzip.decompress(RECORDED.read_bytes()).decode().splitlines():
        for model, record in json.loads(line)["models"].items():
            if record.get("recorded_cost_usd") is None:
                continue
            usage = RequestUsage(
                input_tokens=record["input_tokens"], output_tokens=record["output_tokens"]
            )
            got = listed.cost(prices.ModelRef(names[model], model), usage)
            assert abs(got.nano_usd / 1e9 - record["recorded_cost_usd"]) <= 1e-6
            rows += 1
    assert rows > 500


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5, "output_tokens": 3},
        {"input_tokens": 5, "output_tokens": 3, "cache_read_tokens": 9},
        {"input_tokens": 5, "output_tokens": 3, "output_reasoning_tokens": -1},
    ],
)
@pytest.mark.parametrize("model", ["openai:gpt-5-nano", "openai:own"])
def test_impossible_counts_are_unpriced(
    prices: Any, tmp_path: Path, model: str, usage: dict[str, Any]
) -> None:
    table = own(prices, tmp_path, '["openai:own"]\ninput_usd = "1"\noutput_usd = "2"\n')
    assert table.cost(ref(prices, model), RequestUsage(**usage)) == prices.UNPRICED


def test_an_unknown_model_is_unpriced_and_not_free(prices: Any, listed: Any) -> None:
    usage = RequestUsage(input_tokens=1, output_tokens=1)
    for model in ("openai:nobody-knows-it", "openai_compatible:gpt-5-nano"):
        assert listed.cost(ref(prices, model), usage) == prices.UNPRICED
        assert listed.find_name(ref(prices, model)) is None
    assert listed.cost(ref(prices, "openai:gpt-5-nano"), None).source == "none"


def test_what_has_no_column_is_kept_beside_the_tokens(prices: Any, listed: Any) -> None:
    """So that an attempt can be repriced: an hour's cache and audio cost more than plain tokens."""
    usage = RequestUsage(
        input_tokens=900, cache_write_tokens=500, cache_write_1h_tokens=400, web_searches=1
    )
    kept = prices.other_units(usage)
    assert kept == {"cache_write_1h_tokens": 400, "web_searches": 1}
    again = RequestUsage(input_tokens=900, cache_write_tokens=500, **kept)
    claude = ref(prices, "anthropic:claude-sonnet-4-5")
    assert listed.cost(claude, again) == listed.cost(claude, usage)
    without = RequestUsage(input_tokens=900, cache_write_tokens=500)
    assert listed.cost(claude, without).nano_usd < listed.cost(claude, usage).nano_usd


def test_a_model_that_the_list_matches_by_prefix_is_named(prices: Any, listed: Any) -> None:
    invented = ref(prices, "openai:gpt-5-nano-2099-01-01")
    assert listed.find_name(invented) == "gpt-5-nano"
    usage = RequestUsage(input_tokens=1000)
    assert listed.cost(invented, usage) == listed.cost(ref(prices, "openai:gpt-5-nano"), usage)
    assert listed.context_window(invented) == listed.context_window(
        ref(prices, "openai:gpt-5-nano")
    )


def test_a_context_window_nobody_tells_is_unknown(prices: Any, listed: Any) -> None:
    untold = [
        (name, model)
        for name, model in LISTED
        if listed.context_window(prices.ModelRef(name, model)) is None
    ]
    assert untold
    assert listed.find_name(prices.ModelRef(*untold[0])) is not None
    assert listed.context_window(ref(prices, "openai:nobody-knows-it")) is None


@pytest.mark.parametrize("reported", [-1, "n/a", "NaN", float("inf"), {"total": 1}])
def test_a_cost_that_is_none_is_unpriced(prices: Any, listed: Any, reported: object) -> None:
    usage = RequestUsage(input_tokens=1000)
    cost = listed.cost(ref(prices, "openrouter:x/y"), usage, context={"cost": reported})
    assert cost == prices.UNPRICED


def test_the_cost_a_provider_reports_counts(prices: Any, listed: Any) -> None:
    usage = RequestUsage(input_tokens=1000)
    cost = listed.cost(ref(prices, "openrouter:x/y"), usage, context={"cost": 0.00012})
    assert (cost.nano_usd, cost.source) == (120_000, "provider")
