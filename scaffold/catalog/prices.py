"""Prices and context windows of models, from genai-prices: offline, and honest about gaps."""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from scaffold.catalog.catalog import Catalogue

MILLION = 1_000_000
SHORT = 1000
"""Tokens of a prompt that has the base price everywhere."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """US dollars per million tokens; None where unknown. `matched` is the price entry's name."""

    ref: str
    provider: str
    model: str
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    context_window: int | None = None
    matched: str | None = None
    listed: bool = True


def facts(catalogue: Catalogue, ref: str) -> ModelFacts:
    """What is known of `provider:model[@deployment]`; unknown things are None."""
    provider, _, rest = ref.partition(":")
    model = rest.rpartition("@")[0] or rest
    try:
        feature = catalogue.get("provider", provider)
    except KeyError:
        return ModelFacts(ref, provider, model)
    window = feature.context_windows.get(model)
    if feature.prices is None:
        return ModelFacts(ref, provider, model, context_window=window, listed=False)
    found = _price(feature.prices, model)
    if found is None:
        return ModelFacts(ref, provider, model, context_window=window)
    name, known_window, input_usd, output_usd = found
    return ModelFacts(
        ref, provider, model, input_usd, output_usd, window or known_window, matched=name
    )


def offered(catalogue: Catalogue, provider: str) -> list[ModelFacts]:
    """The models a provider's manifest names: cheap, balanced, expensive, then the others."""
    feature = catalogue.get("provider", provider)
    names = list(feature.models.model_dump().values()) if feature.models else []
    return [
        facts(catalogue, f"{provider}:{name}") for name in dict.fromkeys([*names, *feature.also])
    ]


def list_prices(catalogue: Catalogue) -> dict[str, list[float]]:
    """US dollars per million tokens in and out of every offered model with a list price."""
    known = [one for p in catalogue.of("provider") for one in offered(catalogue, p.name)]
    return {
        fact.ref: [float(fact.input_usd), float(fact.output_usd)]
        for fact in known
        if fact.input_usd is not None and fact.output_usd is not None
    }


def told(fact: ModelFacts) -> str:
    """A model with its prices (US dollars per million tokens) and context window (tokens)."""
    if fact.input_usd is None or fact.output_usd is None:
        prices = "unpriced"
    else:
        prices = f"{_usd(fact.input_usd)} in, {_usd(fact.output_usd)} out"
    window = f"{fact.context_window // 1000}k" if fact.context_window else "?"
    return f"{fact.ref:<36} {prices:<24} {window:>6}"


def _usd(amount: Decimal) -> str:
    """At least two decimals, and every digit there is."""
    plain = f"{amount.normalize():f}"
    return f"${amount:.2f}" if len(plain.partition(".")[2]) < 2 else f"${plain}"


def usd(
    catalogue: Catalogue, ref: str, asked: Decimal, answered: Decimal, *, in_parts: bool = False
) -> Decimal | None:
    """US dollars of a call with these tokens in and out; None if unpriced.

    A long prompt has its own price, unless the tokens are those of many short calls (`in_parts`).
    """
    fact = facts(catalogue, ref)
    if fact.matched is None:
        return None
    prices = catalogue.get("provider", fact.provider).prices
    assert prices is not None
    prompt = SHORT if in_parts else max(SHORT, int(asked))
    found = _price(prices, fact.model, prompt)
    assert found is not None
    return (asked * found[2] + answered * found[3]) / MILLION


@lru_cache(maxsize=4096)
def _price(
    provider: str, model: str, prompt: int = SHORT
) -> tuple[str, int | None, Decimal, Decimal] | None:
    """The entry's name, context window and prices per million tokens, for a prompt of a size."""
    from genai_prices import Usage, calc_price

    def price(**tokens: int) -> Any:
        return calc_price(Usage(**tokens), model, provider_id=provider)

    try:
        asked = price(input_tokens=prompt)
    except LookupError:
        return None
    both = price(input_tokens=prompt, output_tokens=SHORT).total_price - asked.total_price
    per_input = asked.total_price * MILLION / prompt
    return asked.model.id, asked.model.context_window, per_input, both * MILLION / SHORT
