"""The arithmetic of what a choice of patterns and chains costs, and whether splitting pays.

Tokens and shares per request are the `estimate` of the enabled patterns' manifests (typical sizes,
not measurements); prices are genai-prices' list prices. Amounts are US dollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scaffold import models
from scaffold.catalogue import Catalogue
from scaffold.facts import Estimate
from scaffold.feature import Feature

REQUESTS = 1000
DAYS = 30
FEW_CALLS = 1000
"""Calls a day under which one good model is enough (the rule every pattern's manifest states)."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a team sends: requests a day, and tokens of a typical request and answer."""

    calls_per_day: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve a load: its models and US dollars a month; None where one is unpriced."""

    name: str
    models: tuple[str, ...]
    usd_per_month: Decimal | None
    when_not: str = ""


def per_1000_requests(catalogue: Catalogue, answers: Mapping[str, Any]) -> Decimal | None:
    """US dollars per 1,000 requests if the first model of each chain answers; None if unpriced."""
    chains = catalogue.default_chains(answers)
    prices = [_price(catalogue, chains, part) for part in _parts(catalogue, answers)]
    known = [price for price in prices if price is not None]
    return sum(known, Decimal(0)) * REQUESTS if len(known) == len(prices) else None


def options(catalogue: Catalogue, load: Load, providers: list[str]) -> list[Option]:
    """One good model, the best model, and each pattern by itself, at this load."""
    answers = {"providers": providers, "patterns": [], "agents": []}
    made = [
        _one_model(catalogue, load, "one good model", "balanced", answers),
        _one_model(catalogue, load, "the best model for all", "expensive", answers),
    ]
    for pattern in catalogue.of("pattern"):
        if pattern.estimate:
            made.append(_split(catalogue, load, pattern, {**answers, "patterns": [pattern.name]}))
    return made


def _one_model(
    catalogue: Catalogue, load: Load, name: str, tier: str, answers: Mapping[str, Any]
) -> Option:
    chains = catalogue.default_chains({**answers, "chains": {tier: None}})
    part = Estimate(
        chain=tier, input_tokens=load.input_tokens, output_tokens=load.output_tokens, share=1
    )
    return _option(catalogue, load, name, chains, [part])


def _split(
    catalogue: Catalogue, load: Load, pattern: Feature, answers: Mapping[str, Any]
) -> Option:
    usual = catalogue.core.estimate[0]
    parts = [
        part.model_copy(
            update={
                "input_tokens": part.input_tokens * load.input_tokens // usual.input_tokens,
                "output_tokens": part.output_tokens * load.output_tokens // usual.output_tokens,
            }
        )
        for part in pattern.estimate
    ]
    chains = catalogue.default_chains(answers)
    return _option(catalogue, load, pattern.name, chains, parts, pattern.when_not)


def _option(
    catalogue: Catalogue,
    load: Load,
    name: str,
    chains: Mapping[str, list[str]],
    parts: list[Estimate],
    when_not: str = "",
) -> Option:
    asked = tuple(dict.fromkeys(chains[part.chain][0] for part in parts))
    prices = [_price(catalogue, chains, part) for part in parts]
    known = [price for price in prices if price is not None]
    per_request = sum(known, Decimal(0)) if len(known) == len(prices) else None
    monthly = None if per_request is None else per_request * load.calls_per_day * DAYS
    return Option(name, asked, monthly, when_not)


def _price(catalogue: Catalogue, chains: Mapping[str, list[str]], part: Estimate) -> Decimal | None:
    """US dollars that one part of one request costs, weighed with its share."""
    price = models.facts(catalogue, chains[part.chain][0])
    if price.input_usd is None or price.output_usd is None:
        return None
    tokens_usd = part.input_tokens * price.input_usd + part.output_tokens * price.output_usd
    return tokens_usd * Decimal(str(part.share)) / models.MILLION


def _parts(catalogue: Catalogue, answers: Mapping[str, Any]) -> list[Estimate]:
    of_patterns = [
        part
        for feature in catalogue.enabled(answers)
        if feature.kind == "pattern"
        for part in feature.estimate
    ]
    return of_patterns or catalogue.core.estimate
