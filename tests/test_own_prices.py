"""Own prices of the rendered workspace: what prices.toml may say, and how it adds up."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.usage import RequestUsage

from tests.conftest import ROOT
from tests.examples import examples
from tests.priced import PROVIDERS, listed, nano, own, package, prices, ref, usages

__all__ = ["listed", "package", "prices"]


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
