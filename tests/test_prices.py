"""Every model a manifest names is one that genai-prices knows by exactly that name."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.estimate import describe_estimate, list_mix, price_mix
from scaffold.catalog.manifest import TIERS, Estimate, Tokens
from scaffold.catalog.prices import find_model, list_models, price_call
from tests.conftest import ROOT
from tests.specs import complete, select

PROVIDERS = [f.name for f in load(ROOT).of("provider") if f.prices]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_offered_models_are_known_and_priced(catalog: Catalog, provider: str) -> None:
    for fact in list_models(catalog, provider):
        assert fact.matched == fact.model, fact.ref
        assert fact.input_usd is not None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_higher_tier_never_costs_less(catalog: Catalog, provider: str) -> None:
    tiers = catalog.get("provider", provider).models
    assert tiers is not None
    known = [find_model(catalog, f"{provider}:{tiers.of(tier)}") for tier in TIERS]
    # Three tokens in for one out, as in the manifests' estimates.
    blended = [3 * (f.input_usd or 0) + (f.output_usd or 0) for f in known]
    assert blended == sorted(blended)


def test_estimate_is_the_sum_of_its_parts(catalog: Catalog) -> None:
    chain = {"balanced": ["anthropic:claude-sonnet-5-5"]}
    spec = complete(catalog, {"patterns": [], "chains": chain}, folder_name="desk")
    fact = find_model(catalog, "anthropic:claude-sonnet-5-5")
    assert fact.input_usd is not None
    assert fact.output_usd is not None
    expected = (900 * fact.input_usd + 350 * fact.output_usd) / Decimal(1000)
    assert price_mix(catalog, spec.selection) == expected


def test_a_request_of_a_mix_takes_one_pattern(catalog: Catalog) -> None:
    def usd(*patterns: str) -> Decimal:
        spec = complete(catalog, {"patterns": [*patterns]}, folder_name="desk")
        return price_mix(catalog, spec.selection) or Decimal(0)

    mixed = usd("router", "draft_polish")
    assert mixed == usd("router") * 7 / 10 + usd("draft_polish") * 3 / 10
    assert usd("draft_polish") > mixed > usd("router")


@settings(deadline=None)
@given(st.lists(st.sampled_from([p.name for p in load(ROOT).of("pattern")]), unique=True))
def test_the_shares_of_a_mix_are_all_of_it(patterns: list[str]) -> None:
    catalog = load(ROOT)
    shares = list_mix(catalog, select(pattern=patterns))
    assert sum(share.percent for share in shares) == 100
    assert {share.name for share in shares} == set(patterns or ["one model"])


def test_an_estimate_says_of_which_requests_it_is(catalog: Catalog) -> None:
    spec = complete(catalog, {"patterns": ["router", "research"], "search": ["local_folder"]},
                    folder_name="desk")  # fmt: skip
    assert describe_estimate(catalog, spec.selection).endswith(
        "per 1,000 requests of 705 tokens in, 425 out on average: "
        "70 % router (900 in, 350 out), 30 % research (250 in and 24,000 of sources, 600 out)."
    )
    one = complete(catalog, {"patterns": []}, folder_name="desk")
    assert describe_estimate(catalog, one.selection) == (
        "About $5.30 per 1,000 requests of 900 tokens in, 350 out: 100 % one model."
    )


def test_a_long_prompt_has_its_own_price(catalog: Catalog) -> None:
    haiku, long = "anthropic:claude-haiku-5-5", Decimal(200_000)
    assert price_call(catalog, haiku, long, Decimal(0)) == Decimal("0.1")
    assert price_call(catalog, haiku, long, Decimal(0), in_parts=True) == Decimal("0.02")


def test_estimate_of_an_unpriced_model_is_unknown(catalog: Catalog) -> None:
    answers = {"patterns": [], "providers": ["ollama"]}
    spec = complete(catalog, answers, folder_name="desk")
    assert price_mix(catalog, spec.selection) is None
    assert describe_estimate(catalog, spec.selection).startswith("About ? per 1,000 requests")


def test_a_manifest_of_an_older_template_still_says_what_it_costs(catalog: Catalog) -> None:
    older = {"chain": "cheap", "input_tokens": 16000, "output_tokens": 3500, "share": 1}
    part = Estimate.model_validate(older)
    assert (part.input_tokens, part.output_tokens) == (Tokens(input=16000), Tokens(output=3500))
    pattern = catalog.get("pattern", "extractor_reasoner")
    plain = pattern.model_copy(update={"estimate": [part], "baseline": None})
    features = [plain if one is pattern else one for one in catalog.features]
    old = Catalog(catalog.root, tuple(features))
    chosen = select(pattern=[plain.name], provider=["anthropic"])
    assert describe_estimate(old, chosen) == (
        "About $3.35 per 1,000 requests of the usual size: 100 % extractor_reasoner."
    )
