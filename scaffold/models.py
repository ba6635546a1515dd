"""Prices and context windows of models, from genai-prices: offline, and honest about gaps."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from scaffold.catalogue import Catalogue

MILLION = 1_000_000


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


@cache
def _price(provider: str, model: str) -> tuple[str, int | None, Decimal, Decimal] | None:
    from genai_prices import Usage, calc_price

    def per_million(**tokens: int) -> Any:
        return calc_price(Usage(**tokens), model, provider_id=provider)

    try:
        base = per_million(input_tokens=1000)
    except LookupError:
        return None
    # A thousand tokens, scaled: a million would fall into the dearer tier of a long prompt.
    output = per_million(output_tokens=1000).total_price * 1000
    return base.model.id, base.model.context_window, base.total_price * 1000, output
