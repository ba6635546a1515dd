"""Every model a manifest names is one that genai-prices knows by exactly that name."""

from decimal import Decimal

import pytest

from scaffold import economics, models
from scaffold.answers import complete
from scaffold.catalogue import Catalogue, load
from scaffold.facts import TIERS
from tests.conftest import ROOT

PROVIDERS = [f.name for f in load(ROOT).of("provider") if f.prices]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_offered_models_are_known_and_priced(catalogue: Catalogue, provider: str) -> None:
    for fact in models.offered(catalogue, provider):
        assert fact.matched == fact.model, fact.ref
        assert fact.input_usd is not None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_higher_tier_never_costs_less(catalogue: Catalogue, provider: str) -> None:
    tiers = catalogue.get("provider", provider).models
    assert tiers is not None
    known = [models.facts(catalogue, f"{provider}:{tiers.of(tier)}") for tier in TIERS]
    # Three tokens in for one out, as in the manifests' estimates.
    blended = [3 * (f.input_usd or 0) + (f.output_usd or 0) for f in known]
    assert blended == sorted(blended)


def test_estimate_is_the_sum_of_its_parts(catalogue: Catalogue) -> None:
    chain = {"balanced": ["anthropic:claude-sonnet-5-5"]}
    spec = complete(catalogue, {"patterns": [], "chains": chain}, folder_name="desk")
    fact = models.facts(catalogue, "anthropic:claude-sonnet-5-5")
    assert fact.input_usd is not None
    assert fact.output_usd is not None
    expected = (900 * fact.input_usd + 350 * fact.output_usd) / Decimal(1000)
    assert economics.per_1000_requests(catalogue, spec.answers()) == expected


def test_estimate_of_an_unpriced_model_is_unknown(catalogue: Catalogue) -> None:
    given = {"patterns": [], "providers": ["ollama"]}
    spec = complete(catalogue, given, folder_name="desk")
    assert economics.per_1000_requests(catalogue, spec.answers()) is None
