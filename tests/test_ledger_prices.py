"""Prices of the rendered workspace: equal to genai-prices to the nano-dollar, and own ones."""

import gzip
import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import ModelResponse, NativeToolCallPart
from pydantic_ai.usage import RequestUsage

from tests import evaluation, ledger_package
from tests.conftest import ROOT
from tests.examples import examples

RECORDED = evaluation.DATA / "replay" / "routerarena-sub10.jsonl.gz"
PROVIDERS = {
    "anthropic": "anthropic",
    "google": "google",
    "openai": "openai",
    "mistral": "mistral",
    "groq": "groq",
    "deepseek": "deepseek",
    "bedrock": "aws",
    "azure": "azure",
    "openrouter": "openrouter",
    "xai": "x-ai",
    "openai_compatible": None,
}
LISTED = [
    (name, model.id)
    for name, id_ in PROVIDERS.items()
    for provider in get_snapshot().providers
    if provider.id == id_
    for model in provider.models
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ledger_package.importable(
        tmp_path_factory.mktemp("prices") / "w", "priced", extras=["prices"]
    ) as name:
        yield name


@pytest.fixture(scope="module")
def prices(package: str) -> Any:
    return ledger_package.Parts(package, ("price_context", "exact_prices", "prices", "own_prices"))


@pytest.fixture(scope="module")
def listed(prices: Any) -> Any:
    return prices.ExactPrices(PROVIDERS)


def ref(prices: Any, text: str) -> Any:
    return prices.ModelRef.parse(text)


def own(prices: Any, tmp_path: Path, text: str) -> Any:
    path = tmp_path / "prices.toml"
    path.write_text(text, "utf-8")
    table = prices.ExactPrices(PROVIDERS)
    table.read_own(path)
    return table


def nano(usd: Decimal) -> int:
    return int((usd * 10**9).to_integral_value(ROUND_HALF_EVEN))


tokens = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 3_000_000))
usages = st.builds(
    dict,
    input_tokens=tokens,
    cache_read_tokens=tokens,
    cache_write_tokens=tokens,
    cache_write_1h_tokens=st.one_of(st.just(0), tokens),
    output_tokens=tokens,
    output_reasoning_tokens=st.one_of(st.just(0), tokens),
    web_searches=st.one_of(st.just(0), st.integers(0, 9)),
    input_audio_tokens=st.one_of(st.just(0), st.just(0), tokens),
    audio_seconds=st.one_of(st.just(0), st.just(0), st.floats(0, 900)),
)
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


def test_keys_of_version_0_1_0_still_mean_the_same(prices: Any, tmp_path: Path) -> None:
    table = own(
        prices,
        tmp_path,
        '["openai:ft"]\ninput_usd = "0.30"\noutput_usd = "1.20"\ncache_read_usd = "0.15"\n',
    )
    usage = RequestUsage(input_tokens=1000, cache_read_tokens=400, output_tokens=10)
    cost = table.cost(ref(prices, "openai:ft"), usage)
    assert (cost.nano_usd, cost.source) == (600 * 300 + 400 * 150 + 10 * 1200, "override")


def test_own_prices_of_every_kind(prices: Any, tmp_path: Path) -> None:
    table = own(
        prices,
        tmp_path,
        """
["openai_compatible:llama@lan"]
hour_usd = "3.60"
parallel = 4

["openai:gpt-5-nano"]
factor = "0.8"

["openai:tiered"]
input_usd = "1"
output_usd = "2"
batch_factor = "0.5"
call_usd = "0.001"
unit_usd = {web_searches = "0.01"}
tiers = [{above_tokens = 200000, input_usd = "2", output_usd = "4"}]

[["openai:dated"]]
input_usd = "1"
output_usd = "1"

[["openai:dated"]]
since = 2026-01-01
input_usd = "3"
output_usd = "3"
""",
    )
    thousand = RequestUsage(input_tokens=1000)
    hourly = ref(prices, "openai_compatible:llama@lan")
    assert table.cost(hourly, thousand, seconds=2.0).nano_usd == 500_000
    assert table.cost(hourly, thousand) == prices.UNPRICED
    nano_model = ref(prices, "openai:gpt-5-nano")
    full = prices.ExactPrices(PROVIDERS).cost(nano_model, thousand).nano_usd
    assert table.cost(nano_model, thousand).nano_usd == full * 8 // 10
    assert table.find_name(nano_model) == "gpt-5-nano x 0.8"
    tiered = ref(prices, "openai:tiered")
    searched = RequestUsage(input_tokens=1000, web_searches=2)
    assert table.cost(tiered, searched).nano_usd == 1_000_000 + 1_000_000 + 20_000_000
    assert table.cost(tiered, thousand, context=prices.BATCH).nano_usd == 1_000_000
    long = RequestUsage(input_tokens=200_001)
    assert table.cost(tiered, long).nano_usd == 200_001 * 2000 + 1_000_000
    dated = ref(prices, "openai:dated")
    early, late = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert table.cost(dated, thousand, at=early).nano_usd == 1_000_000
    assert table.cost(dated, thousand, at=late).nano_usd == 3_000_000


def test_a_batch_is_known_by_its_service_tier(prices: Any, listed: Any, tmp_path: Path) -> None:
    """As Anthropic reports it: an attempt is booked at the price at which it would be repriced."""
    batched = {"service_tier": "batch"}
    claude, usage = ref(prices, "anthropic:claude-sonnet-4-5"), RequestUsage(input_tokens=1000)
    batch = listed.cost(claude, usage, context=batched)
    assert batch == listed.cost(claude, usage, context=prices.BATCH)
    assert batch.nano_usd * 2 == listed.cost(claude, usage).nano_usd
    text = '["openai:own"]\ninput_usd = 1\noutput_usd = 2\nbatch_factor = "0.5"\n'
    table = own(prices, tmp_path, text)
    assert table.cost(ref(prices, "openai:own"), usage, context=batched).nano_usd == 500_000


def test_a_tier_has_all_its_own_prices(prices: Any, tmp_path: Path) -> None:
    """What a tier leaves unset costs as much as its own input, not as what stands above it."""
    table = own(
        prices,
        tmp_path,
        """
["openai:tiered"]
input_usd = "1"
output_usd = "2"
cache_read_usd = "0.1"
reasoning_usd = "9"
tiers = [
    {above_tokens = 1000, input_usd = "3", output_usd = "4", cache_read_usd = "0.5"},
    {above_tokens = 100, input_usd = "2", output_usd = "8"},
]
""",
    )

    def cost(**usage: Any) -> int:
        return table.cost(ref(prices, "openai:tiered"), RequestUsage(**usage)).nano_usd // 1000

    assert cost(input_tokens=100, cache_read_tokens=50) == 50 + 5
    assert cost(input_tokens=101, cache_read_tokens=50) == 51 * 2 + 50 * 2
    assert cost(input_tokens=1001, cache_read_tokens=1000) == 3 + 500
    assert cost(output_tokens=10, output_reasoning_tokens=4) == 6 * 2 + 4 * 9
    assert cost(input_tokens=101, output_tokens=10, output_reasoning_tokens=4) == 101 * 2 + 80


own_prices = st.fixed_dictionaries(
    {"input_usd": st.decimals(0, 99, places=4), "output_usd": st.decimals(0, 99, places=4)},
    optional={
        name: st.decimals(0, 99, places=4)
        for name in ("cache_read_usd", "cache_write_usd", "reasoning_usd", "call_usd", "hour_usd")
    },
)


@given(own_prices, usages, st.floats(0, 3600))
@settings(max_examples=examples(300), deadline=None)
def test_own_prices_add_up(
    prices: Any, own_price: dict[str, Decimal], usage: dict[str, Any], seconds: float
) -> None:
    """Against the sum written out: every token once, one rounding at the end."""
    table = prices.ExactPrices(PROVIDERS, own={"openai:own": own_price})
    read, write = usage["cache_read_tokens"], usage["cache_write_tokens"]
    reasoning = usage["output_reasoning_tokens"]
    fresh, plain = usage["input_tokens"] - read - write, usage["output_tokens"] - reasoning
    into, out = own_price["input_usd"], own_price["output_usd"]
    tokens = fresh * into + plain * out
    tokens += read * own_price.get("cache_read_usd", into)
    tokens += write * own_price.get("cache_write_usd", into)
    tokens += reasoning * own_price.get("reasoning_usd", out)
    server = Decimal(str(seconds)) * own_price.get("hour_usd", Decimal(0)) / 3600
    expected = nano(tokens / 10**6 + server + own_price.get("call_usd", Decimal(0)))
    got = table.cost(ref(prices, "openai:own"), RequestUsage(**usage), seconds=seconds)
    assert got.nano_usd == (expected if min(fresh, plain) >= 0 else None)


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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('["openai:x"]\ninput_usd = "1"\n', "give input_usd and output_usd"),
        ('["openai:x"]\ninput_usd = "-1"\noutput_usd = "1"\n', "openai:x.0.input_usd"),
        ('["openai:x"]\ninput = "1"\noutput_usd = "1"\n', "openai:x.0.input"),
        ('["openai:x"]\noutput_usd = "-1"\n["openai:y"]\nfactor = "x"\n', "openai:y.0.factor"),
        ('"openai:x" = 3\n', "openai:x.0: Input should be"),
        ("[openai", "not valid TOML"),
        ('["openai:x"]\nhour_usd = "1"\nunit_usd = {searches = "1"}\n', "'searches' is not a unit"),
    ],
)
def test_a_wrong_file_says_where(prices: Any, tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(Exception, match=r"prices\.toml") as error:
        own(prices, tmp_path, text)
    assert type(error.value).__name__ == "SettingsError"
    assert place in str(error.value)
    assert "\n" not in str(error.value)


def test_the_examples_in_prices_toml_are_right(prices: Any, tmp_path: Path) -> None:
    text = (ROOT / "templates" / "{{extra_prices}}" / "prices.toml").read_text("utf-8")
    lines = [line.removeprefix("# ") for line in text.splitlines()[4:]]
    table = own(prices, tmp_path, "\n".join(line for line in lines if "=" in line or "[" in line))
    searched = RequestUsage(input_tokens=1000, web_searches=1)
    tuned = ref(prices, "openai:ft:gpt-6-luna:acme:support:1")
    assert table.cost(tuned, searched).nano_usd == 300_000 + 1_000_000 + 10_000_000
    assert table.cost(ref(prices, "openai_compatible:llama-3.3-70b"), searched, seconds=8).source


MILLION = {"input_tokens": 1_000_000}


def usage_of(**counts: Any) -> Any:
    return RequestUsage(**{**MILLION, **counts})


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


# The table of docs/ledger.md, row by row: a model, what its response says (or `asked`: the settings
# of its request, `parts`, `usage`), and how it is booked. `x`: the factor on the plain list price.
SEARCH = {"web_searches": 1}
BOOKED: list[tuple[str, str, str, dict[str, Any], str, float | None]] = [
    ("anthropic", "fast mode", "claude-opus-5-5", {"speed": "fast"}, "list", None),
    ("anthropic", "fast mode", "claude-haiku-4-5", {"service_tier": "batch"}, "list", 0.5),
    ("anthropic", "fast mode", "claude-haiku-4-5", {"usage": SEARCH}, "list", None),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "us"}, "list", 1.1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "global"}, "list", 1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "not_available"}, "list", 1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "eu"}, "estimated", 1),
    ("anthropic", "priority", "claude-haiku-4-5", {"service_tier": "priority"}, "estimated", 1),
    ("anthropic", "priority", "claude-haiku-4-5", {"service_tier": "standard"}, "list", 1),
    ("openai", "flex", "gpt-5.4", {"service_tier": "flex"}, "list", 0.5),
    ("openai", "flex", "gpt-5.4", {"service_tier": "default"}, "list", 1),
    ("openai", "flex", "gpt-5.4", {"service_tier": "scale"}, "estimated", 1),
    ("openai", "flex", "gpt-5.4", {"asked": {"service_tier": "flex"}}, "estimated", 0.5),
    ("openai", "flex", "gpt-5.4",
     {"asked": {"extra_body": {"service_tier": "flex"}}}, "estimated", 0.5),
    ("openai", "flex", "gpt-5.4",
     {"asked": {"openai_service_tier": "flex"}, "service_tier": "default"}, "list", 1),
    ("openai", "tools", "gpt-4o-search-preview", {"usage": SEARCH}, "estimated", 1),
    ("openai", "tools", "gpt-4.1-mini", {"parts": True}, "estimated", 1),
    ("google", "flex", "gemini-2.5-flash", {"traffic_type": "ON_DEMAND"}, "list", 1),
    ("google", "flex", "gemini-2.5-flash",
     {"traffic_type": "TRAFFIC_TYPE_UNSPECIFIED"}, "list", 1),
    ("google", "flex", "gemini-2.5-flash", {"service_tier": "flex"}, "estimated", 1),
    ("google", "flex", "gemini-2.5-flash", {"usage": SEARCH}, "list", None),
    ("google", "traffic", "gemini-2.5-flash", {"traffic_type": "ON_DEMAND_FLEX"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"traffic_type": "PROVISIONED_THROUGHPUT"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"traffic_type": "ON_DEMAND_OFFPEAK"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"asked": {"google_cloud_service_tier": "pt_then_flex"}}, "estimated", 1),
    ("mistral", "batch", "mistral-large-2512", {"processing": "batch"}, "list", 0.5),
    ("xai", "batch", "grok-4.3", {"usage": {"details": {"cached": 3}}}, "list", 1),
    ("xai", "tools", "grok-4.3",
     {"usage": {"details": {"server_side_tools_x_search": 2}}}, "estimated", 1),
    ("groq", "flex", "llama-3.3-70b-versatile", {"service_tier": "on_demand"}, "list", 1),
    ("groq", "flex", "llama-3.3-70b-versatile", {"service_tier": "flex"}, "estimated", 1),
    ("groq", "tools", "llama-3.3-70b-versatile", {"parts": True}, "estimated", 1),
    ("deepseek", "hours", "deepseek-chat", {}, "list", 1),
    ("bedrock", "regions", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, "list", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_service_tier": {"type": "priority"}}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"service_tier": "flex"}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_performance_configuration": {"latency": "optimized"}}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_service_tier": {"type": "default"}}}, "list", 1),
    ("openrouter", "cost", "openai/gpt-4.1-mini", {"cost": 0.5}, "provider", None),
    ("openrouter", "byok", "openai/gpt-4.1-mini",
     {"cost": 0.1, "is_byok": True, "upstream_inference_cost": 1}, "provider", None),
    ("openrouter", "byok", "openai/gpt-4.1-mini", {"cost": 0.1, "is_byok": True}, "estimated", None),
    ("openai_compatible", "own", "llama", {}, "unpriced", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "response_details", "source", "factor"),
    [(case[0], *case[2:]) for case in BOOKED],
)
def test_what_changes_a_price_is_booked_as_the_table_says(
    prices: Any,
    listed: Any,
    provider: str,
    model: str,
    response_details: dict[str, Any],
    source: str,
    factor: float | None,
) -> None:
    details = {
        name: v for name, v in response_details.items() if name not in ("asked", "parts", "usage")
    }
    usage = usage_of(**response_details.get("usage", {}))
    parts = (
        [NativeToolCallPart(tool_name="code_execution", args={})]
        if "parts" in response_details
        else []
    )
    response = ModelResponse(parts=parts, usage=usage, provider_details=details or None)
    context = prices.price_context(response, response_details.get("asked"))
    plain = listed.cost(prices.ModelRef(provider, model), usage_of())
    cost = listed.cost(prices.ModelRef(provider, model), usage, context=context)
    assert cost.source == source
    if factor is not None:
        assert cost.nano_usd == Decimal(plain.nano_usd) * Decimal(str(factor))
    elif source != "unpriced":
        assert cost.nano_usd != plain.nano_usd
    # What the ledger keeps of it is enough to book it as it was.
    if source != "provider":
        kept = {"service_tier": prices.tier_text(context)}
        assert listed.cost(prices.ModelRef(provider, model), usage, context=kept) == cost


VARYING = [
    ("openai", "gpt-5.4", {"base_url": "https://eu.api.openai.com/v1"}, True),
    ("openai", "gpt-5.4", {"base_url": "https://US.api.openai.com/v1"}, True),
    ("openai", "gpt-5.4", {"base_url": "https://api.openai.com/v1"}, False),
    ("openai", "gpt-5.4", {"base_url": "https://gateway.example/v1"}, False),
    ("openai", "gpt-5.4", {}, False),
    ("azure", "ours", {"region": "eu"}, True),
    ("azure", "ours", {}, True),
    ("google", "gemini-2.5-flash",
     {"base_url": "https://europe-west4-aiplatform.googleapis.com"}, True),
    ("google", "gemini-2.5-flash",
     {"base_url": "https://aiplatform.eu.rep.googleapis.com"}, True),
    ("google", "gemini-2.5-flash", {"base_url": "https://aiplatform.googleapis.com"}, False),
    ("google", "gemini-2.5-flash", {}, False),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "eu-central-1"}, True),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "us-gov-west-1"}, True),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "us-east-1"}, False),
    ("bedrock", "eu.anthropic.claude-sonnet-4-6", {"region": "eu-central-1"}, False),
    ("bedrock", "global.amazon.nova-2-lite-v1:0", {"region": "eu-central-1"}, False),
]  # fmt: skip


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Render a workspace with the providers whose prices depend on where they are asked."""
    providers = ["openai", "azure", "google", "bedrock"]
    folder = tmp_path_factory.mktemp("varying") / "w"
    with ledger_package.importable(folder, "varying", providers=providers, extras=["prices"]):
        workspace = importlib.import_module("varying.workspace")
        yield lambda text: (
            (folder / "fleet.toml").write_text(text, "utf-8"),
            workspace.load_prices(folder, workspace.load(folder / "fleet.toml")),
        )[1]


@pytest.mark.parametrize(("provider", "model", "place", "varies"), VARYING)
def test_where_a_price_varies_it_is_an_estimate(
    wired: Any, provider: str, model: str, place: dict[str, str], varies: bool
) -> None:
    lines = [f'{key} = "{value}"' for key, value in place.items()]
    lines += ['model = "gpt-4.1"'] if provider == "azure" else []
    ref_ = f"{provider}:{model}@there"
    text = f'[chains.main]\nmodels = ["{ref_}"]\n[deployments.there]\n' + "\n".join(lines)
    prices = importlib.import_module("varying.runtime.ledger.prices")
    cost = wired(text).cost(prices.ModelRef.parse(ref_), usage_of())
    assert cost.source == ("estimated" if varies else "list")


def test_an_address_of_the_environment_counts_too(
    wired: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://eu.api.openai.com/v1")
    table = wired('[chains.main]\nmodels = ["openai:gpt-5.4"]\n')
    prices = importlib.import_module("varying.runtime.ledger.prices")
    assert table.cost(prices.ModelRef("openai", "gpt-5.4"), usage_of()).source == "estimated"


def test_every_row_of_the_table_in_the_docs_has_a_case() -> None:
    text = (ROOT / "docs" / "ledger.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")]
    at = next(i for i, row in enumerate(rows) if row[0].strip() == "provider")
    named = [row[0].strip() for row in rows[at + 1 :]]
    # The names of Azure's deployments have a test of their own above.
    tested = [*{(case[0], case[1]) for case in BOOKED}]
    tested += [*{(case[0], "where") for case in VARYING if case[3]}, ("azure", "names")]
    for provider in {name for names in named for name in names.split(", ")} - {"ollama"}:
        rows_of = sum(provider in names.split(", ") for names in named)
        assert sum(name == provider for name, _ in tested) >= rows_of, provider


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
