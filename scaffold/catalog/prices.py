"""Prices and context windows of models, from genai-prices: offline, None where unknown."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any

from scaffold.catalog.catalog import Catalog

MILLION = 1_000_000
SHORT = 1000
"""Tokens of a prompt that has the base price everywhere."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """US dollars per million tokens and the context window in tokens; None where unknown.

    genai-prices matches prefixes, so an invented name may take the price of another model:
    `matched` is the name of the entry. `listed`: whether the provider's models have list prices.
    """

    ref: str
    provider: str
    model: str
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    context_window: int | None = None
    matched: str | None = None
    listed: bool = True


def find_model(catalog: Catalog, ref: str, day: date | None = None) -> ModelInfo:
    """Return what is known of `provider:model[@deployment]`, with the prices of a day (today's)."""
    provider, _, rest = ref.partition(":")
    # A deployment changes where a model runs, not what it costs at list price.
    model = rest.rpartition("@")[0] or rest
    try:
        feature = catalog.get("provider", provider)
    except KeyError:
        return ModelInfo(ref, provider, model)
    window = feature.context_windows.get(model)
    if feature.prices is None:
        return ModelInfo(ref, provider, model, context_window=window, listed=False)
    entry = _find_price(feature.prices, model, day or _today())
    if entry is None:
        return ModelInfo(ref, provider, model, context_window=window)
    return ModelInfo(
        ref=ref,
        provider=provider,
        model=model,
        input_usd=entry.input_usd,
        output_usd=entry.output_usd,
        context_window=window or entry.context_window,
        matched=entry.model,
    )


def list_models(catalog: Catalog, provider: str, day: date | None = None) -> list[ModelInfo]:
    """Return the models that a manifest names: cheap, balanced, expensive, then the others."""
    feature = catalog.get("provider", provider)
    names = list(feature.models.model_dump().values()) if feature.models else []
    unique = dict.fromkeys([*names, *feature.also])
    return [find_model(catalog, f"{provider}:{name}", day) for name in unique]


def list_prices(catalog: Catalog, day: date) -> dict[str, list[float]]:
    """Return US dollars per million tokens in and out of every model with a list price that day."""
    models = [one for p in catalog.of("provider") for one in list_models(catalog, p.name, day)]
    return {
        model.ref: [float(model.input_usd), float(model.output_usd)]
        for model in models
        if model.input_usd is not None and model.output_usd is not None
    }


def describe_model(model: ModelInfo) -> str:
    """Return a line with prices (US dollars per million tokens) and context window (tokens)."""
    if model.input_usd is None or model.output_usd is None:
        prices = "unpriced"
    else:
        prices = f"{_format_usd(model.input_usd)} in, {_format_usd(model.output_usd)} out"
    window = f"{model.context_window // 1000}k" if model.context_window else "?"
    return f"{model.ref:<36} {prices:<24} {window:>6}"


def _format_usd(amount: Decimal) -> str:
    """Write at least two decimals, and every digit there is."""
    plain = f"{amount.normalize():f}"
    return f"${amount:.2f}" if len(plain.partition(".")[2]) < 2 else f"${plain}"


def price_call(
    catalog: Catalog,
    ref: str,
    input_tokens: Decimal,
    output_tokens: Decimal,
    *,
    in_parts: bool = False,
) -> Decimal | None:
    """Return US dollars of a call with these tokens; None if the model is unpriced.

    A long prompt has its own price, unless the tokens are those of many short calls (`in_parts`).
    """
    model = find_model(catalog, ref)
    provider = catalog.get("provider", model.provider).prices if model.matched else None
    # Some models cost more per token from 200,000 tokens of prompt on.
    prompt = SHORT if in_parts else max(SHORT, int(input_tokens))
    entry = _find_price(provider, model.model, _today(), prompt) if provider else None
    if entry is None:
        return None
    return (input_tokens * entry.input_usd + output_tokens * entry.output_usd) / MILLION


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of genai-prices, with its US dollars per million tokens."""

    model: str
    context_window: int | None
    input_usd: Decimal
    output_usd: Decimal


def _today() -> date:
    return datetime.now(UTC).date()


@lru_cache(maxsize=4096)
def _find_price(provider: str, model: str, day: date, prompt: int = SHORT) -> _Entry | None:
    """Return the entry of a model, with the prices of a day for a prompt of so many tokens."""
    # Imported here: it takes longer than the rest of the catalog.
    from genai_prices import Usage, calc_price

    # Some prices depend on the hour: those of noon, UTC, stand for the day.
    noon = datetime.combine(day, time(12), UTC)

    def price(**tokens: int) -> Any:
        return calc_price(
            Usage(**tokens), model, provider_id=provider, genai_request_timestamp=noon
        )

    try:
        prompt_only = price(input_tokens=prompt)
    except LookupError:
        return None
    # Two calls, for the library has no public way to read an entry's tiers: the difference is the
    # price of the output.
    answered = price(input_tokens=prompt, output_tokens=SHORT)
    output_usd = answered.total_price - prompt_only.total_price
    return _Entry(
        model=prompt_only.model.id,
        context_window=prompt_only.model.context_window,
        input_usd=prompt_only.total_price * MILLION / prompt,
        output_usd=output_usd * MILLION / SHORT,
    )
