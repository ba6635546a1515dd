"""A workspace with exact and own prices, for tests of what calls cost."""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic_ai.usage import RequestUsage

from tests import ledger_package

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


MILLION = {"input_tokens": 1_000_000}


def usage_of(**counts: Any) -> Any:
    return RequestUsage(**{**MILLION, **counts})
