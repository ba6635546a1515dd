"""The arithmetic of what a choice of patterns and chains costs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from scaffold import models
from scaffold.catalogue import Catalogue
from scaffold.feature import Estimate

REQUESTS = 1000


def per_1000_requests(catalogue: Catalogue, answers: Mapping[str, Any]) -> Decimal | None:
    """US dollars per 1,000 requests if the first model of each chain answers; None if unpriced.

    Tokens and shares per request are the `estimate` of the enabled patterns' manifests (typical
    sizes, not measurements); prices are genai-prices' list prices.
    """
    chains = catalogue.default_chains(answers)
    total = Decimal(0)
    for part in _parts(catalogue, answers):
        price = models.facts(catalogue, chains[part.chain][0])
        if price.input_usd is None or price.output_usd is None:
            return None
        tokens_usd = part.input_tokens * price.input_usd + part.output_tokens * price.output_usd
        total += tokens_usd * Decimal(str(part.share)) * REQUESTS / models.MILLION
    return total


def _parts(catalogue: Catalogue, answers: Mapping[str, Any]) -> list[Estimate]:
    of_patterns = [
        part
        for feature in catalogue.enabled(answers)
        if feature.kind == "pattern"
        for part in feature.estimate
    ]
    return of_patterns or catalogue.core.estimate
