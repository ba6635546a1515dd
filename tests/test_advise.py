"""The advisor: its verdict, the figures it rests on, and what it refuses."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaffold import cli
from scaffold.catalog.advice import FEW_CALLS, ONE_MODEL, SPLIT, Upkeep, advise
from scaffold.catalog.alternatives import Alternative, Alternatives, list_alternatives
from scaffold.catalog.break_even import compare_judges, describe_judges, find_break_even
from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.estimate import Load, price_pattern
from scaffold.catalog.manifest import TIERS, Tier
from scaffold.catalog.prices import find_model, price_call
from tests.conftest import ROOT
from tests.messages import one_mistake
from tests.specs import select

CATALOG = load(ROOT)
UPKEEP = Upkeep(Decimal(6), Decimal(100))


def alternatives(one: int | None, *patterns: int | None) -> Alternatives:
    """Return the usual alternatives at these dollars a month."""

    def at(name: str, model: str, usd: int | None) -> Alternative:
        month = None if usd is None else Decimal(usd)
        return Alternative(name=name, models=(model,), usd_per_month=month, when_not="never.")

    return Alternatives(
        singles=(at("one good model", "a:m", one), at("the best model for all", "a:l", 9999)),
        patterns=tuple(at(f"p{place}", "a:s", usd) for place, usd in enumerate(patterns)),
    )


def by_name(found: Alternatives) -> dict[str, Alternative]:
    return {one.name: one for one in found.all()}


def test_under_a_thousand_calls_a_day_one_model_is_enough() -> None:
    advice = advise(Load(999, 900, 350), alternatives(50_000, 1), UPKEEP, None)
    assert advice.verdict == ONE_MODEL
    assert "under 1,000" in advice.reasons[0]


@pytest.mark.parametrize(("saving", "verdict"), [(599, ONE_MODEL), (600, ONE_MODEL), (601, SPLIT)])
def test_a_saving_has_to_pay_for_its_upkeep(saving: int, verdict: str) -> None:
    advice = advise(Load(5000, 900, 350), alternatives(1000, 1000 - saving, 990), UPKEEP, None)
    assert (advice.verdict, advice.saving_usd) == (verdict, saving)


def test_the_cheapest_pattern_is_the_one_compared() -> None:
    advice = advise(Load(5000, 900, 350), alternatives(9000, 500, 100, 300), UPKEEP, None)
    assert advice.best is not None
    assert advice.best.name == "p1"
    assert "never" in advice.reasons[-1]


@pytest.mark.parametrize("found", [alternatives(None, 1), alternatives(5, None), alternatives(5)])
def test_an_unknown_price_does_not_count_as_a_saving(found: Alternatives) -> None:
    advice = advise(Load(5000, 900, 350), found, UPKEEP, None)
    assert advice.verdict == ONE_MODEL
    assert "unknown" in advice.reasons[0]


@pytest.mark.parametrize(("calls", "verdict"), [(10, ONE_MODEL), (50_000, SPLIT)])
def test_what_one_model_cannot_read_is_compared_with_the_one_that_can(
    calls: int, verdict: str
) -> None:
    load = Load(calls, 500_000, 350)
    found = list_alternatives(CATALOG, load, ["mistral"])
    assert found.singles[0].too_long and not found.singles[1].too_long
    advice = advise(load, found, UPKEEP, None)
    assert (advice.verdict, advice.baseline) == (verdict, found.singles[1])
    assert "do not fit" in advice.reasons[0] and "the best model for all" in advice.reasons[0]


def test_the_largest_figures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    most = str(10**12 - 1)
    names = ("calls-per-day", "input-tokens", "output-tokens", "hours", "usd-per-hour")
    assert cli.run(["advise", *(word for name in names for word in (f"--{name}", most))]) == 0
    assert capsys.readouterr().out


@settings(deadline=None)
@given(calls=st.integers(1, 10**7), tokens=st.integers(1, 10**5))
def test_from_the_break_even_on_and_only_there_it_splits(calls: int, tokens: int) -> None:
    def verdict_at(calls_per_day: int) -> str:
        wanted = Load(calls_per_day, tokens, tokens)
        found = list_alternatives(CATALOG, wanted, ["anthropic", "openai"])
        return advise(wanted, found, UPKEEP, None).verdict

    wanted = Load(calls, tokens, tokens)
    found = list_alternatives(CATALOG, wanted, ["anthropic", "openai"])
    advised = advise(wanted, found, UPKEEP, None)
    even = advised.break_even_calls
    if even is None:  # what is the same for every request costs more than a short one
        assert (advised.saving_usd or 0) <= 0
        assert advised.verdict == ONE_MODEL
        return
    assert verdict_at(even) == SPLIT
    assert verdict_at(even - 1) == ONE_MODEL or even == FEW_CALLS


def test_one_good_model_costs_its_list_price(catalog: Catalog) -> None:
    fact = find_model(catalog, "anthropic:claude-sonnet-5-5")
    assert fact.input_usd is not None
    assert fact.output_usd is not None
    one = list_alternatives(catalog, Load(100, 2000, 500), ["anthropic"]).singles[0]
    usd = (2000 * fact.input_usd + 500 * fact.output_usd) / 10**6 * 100 * 30
    assert one.usd_per_month == usd


# Dollars per million tokens in and out: haiku 0.10/0.50, sonnet 2/10, opus 4/20. A request of
# 16,000 tokens with an answer of 500, computed by hand for each pattern.
BY_HAND = {
    "router": 250 * 0.1 + 16000 * 0.1 + 60 * 0.5
    + 0.7 * (16000 * 0.1 + 500 * 0.5) + 0.3 * (16000 * 4 + 500 * 20),
    "extractor_reasoner": 16000 * 0.1 + 3500 * 0.5 + 3500 * 4 + 500 * 20,
    "draft_polish": 16000 * 0.1 + 500 * 0.5 + (250 + 16000 + 500) * 2 + 120 * 10
    + 0.25 * ((250 + 16000 + 500) * 4 + 500 * 20),
    "research": 16000 * 0.1 + 60 * 0.5 + (21000 + 12 * 16000) * 0.1 + 2400 * 0.5
    + (2250 + 16000) * 4 + 500 * 20,
    "orchestrator": 16000 * 4 + 500 * 20 + (3200 + 1600 * 5 / 7) * 0.1 + 1600 * 5 / 7 * 0.5
    + (16000 + 1500 * 5 / 7) * 4 + 500 * 20,
}  # fmt: skip


@pytest.mark.parametrize("name", [p.name for p in CATALOG.of("pattern")])
def test_each_pattern_costs_what_it_costs_by_hand(name: str) -> None:
    found = by_name(list_alternatives(CATALOG, Load(5000, 16000, 500), ["anthropic"]))
    assert float(found[name].usd_per_month or 0) == pytest.approx(BY_HAND[name] * 0.15)


def test_the_extractor_reads_a_document_once_and_beats_both_single_models() -> None:
    found = by_name(list_alternatives(CATALOG, Load(5000, 16000, 500), ["anthropic"]))
    assert found["extractor_reasoner"].usd_per_month == Decimal("4102.5")
    assert found["one good model"].usd_per_month == 5550
    longer = list_alternatives(CATALOG, Load(5000, 100000, 500), ["anthropic"])
    advice = advise(Load(5000, 100000, 500), longer, UPKEEP, None)
    assert advice.verdict == SPLIT
    assert advice.best is by_name(longer)["extractor_reasoner"]


@settings(deadline=None)
@given(
    calls=st.integers(0, 10**6),
    read=st.integers(0, 10**6),
    written=st.integers(0, 10**5),
    more=st.sampled_from([(1, 0, 0), (0, 997, 0), (0, 0, 997)]),
    providers=st.sampled_from([["anthropic"], ["openai"], ["mistral"], ["xai", "google"]]),
)
def test_more_work_never_costs_less_and_like_stands_beside_like(
    calls: int, read: int, written: int, more: tuple[int, int, int], providers: list[str]
) -> None:
    load = Load(calls, read, written)
    found = list_alternatives(CATALOG, load, providers)
    larger = Load(calls + more[0], read + more[1], written + more[2])
    for option, dearer in zip(
        found.all(), list_alternatives(CATALOG, larger, providers).all(), strict=True
    ):
        if option.usd_per_month is not None and dearer.usd_per_month is not None:
            assert dearer.usd_per_month >= option.usd_per_month
        assert not (option.too_long and not dearer.too_long)
    for option in found.patterns:
        work = Load(calls, read + option.source_tokens, written)
        one, best = list_alternatives(CATALOG, work, providers).singles
        same = option.same_work
        assert same["balanced"].usd_per_month == one.usd_per_month
        assert same["expensive"].usd_per_month == best.usd_per_month
        assert option.comparable == (work == load)


@settings(deadline=None)
@given(
    calls=st.integers(0, 10**6),
    read=st.integers(0, 3 * 10**6),
    written=st.integers(0, 10**5),
    providers=st.sampled_from([["anthropic"], ["mistral", "openai"], ["ollama"], ["groq"]]),
    today=st.sampled_from([None, "the best model for all"]),
)
def test_the_verdict_is_what_its_figures_say(
    calls: int, read: int, written: int, providers: list[str], today: str | None
) -> None:
    load = Load(calls, read, written)
    found = list_alternatives(CATALOG, load, providers)
    advice = advise(load, found, UPKEEP, today)
    assert advice.reasons
    assert advice.best is None or advice.best.comparable
    if advice.verdict == SPLIT and advice.saving_usd is not None:
        assert calls >= FEW_CALLS
        assert advice.saving_usd > UPKEEP.usd_per_month
    if advice.verdict == SPLIT and advice.saving_usd is None:
        assert advice.baseline.too_long
    priced = [
        o.usd_per_month for o in found.patterns if o.comparable and o.usd_per_month is not None
    ]
    if advice.best is not None:
        assert advice.best.usd_per_month == min(priced)


def test_no_calls_cost_nothing_and_save_nothing() -> None:
    found = list_alternatives(CATALOG, Load(0, 900, 350), ["anthropic"])
    assert {option.usd_per_month for option in found.all()} == {Decimal(0)}
    advice = advise(Load(0, 900, 350), found, UPKEEP, None)
    assert advice.reasons == ("0 calls a day are under 1,000: too few to split",)


def test_an_expensive_scorer_saves_nothing_on_short_texts(catalog: Catalog) -> None:
    pattern = catalog.get("pattern", "draft_polish")
    haiku, opus = "anthropic:claude-haiku-5-5", "anthropic:claude-opus-5-5"
    chains = {"cheap": [haiku], "scorer": [opus], "expensive": [opus]}
    assert price_pattern(catalog, pattern, chains) == Decimal("11.435")
    outright = price_call(catalog, opus, Decimal(600), Decimal(450))
    assert outright == Decimal("0.0114")
    assert round(Decimal("0.011435"), 5) == Decimal("0.01144")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("providers", [["anthropic"], ["openai"], ["mistral"]])
def test_a_judge_pays_from_the_length_that_is_given_on(
    catalog: Catalog, tier: Tier, providers: list[str]
) -> None:
    pattern = catalog.get("pattern", "draft_polish")
    chosen = select(provider=providers, pattern=["draft_polish"])
    scorer = catalog.default_models(tier, providers)[0]
    chains = {**catalog.default_chains(chosen), "scorer": [scorer]}
    writer = chains["expensive"][0]
    least = find_break_even(catalog, pattern, chains, judge=scorer, writer=writer)
    assert least is not None

    def saving(text: int) -> Decimal:
        c, s, e = (find_model(catalog, ref) for ref in (chains["cheap"][0], scorer, writer))
        assert c.input_usd and c.output_usd and s.input_usd and s.output_usd
        assert e.input_usd and e.output_usd
        seen = 600 + text + 250
        split = 600 * c.input_usd + text * c.output_usd + seen * s.input_usd + 120 * s.output_usd
        split += (seen * e.input_usd + text * e.output_usd) / 4
        return 600 * e.input_usd + text * e.output_usd - split

    assert saving(least) > 0
    assert least == 0 or saving(least - 1) <= 0


def test_a_judge_pays_from_454_tokens_or_123(catalog: Catalog) -> None:
    pattern = catalog.get("pattern", "draft_polish")
    chosen = select(provider=["anthropic"], pattern=["draft_polish"])
    assert compare_judges(catalog, pattern, chosen) == [
        ("anthropic:claude-sonnet-5-5", 123),
        ("anthropic:claude-opus-5-5", 454),
        ("anthropic:claude-haiku-5-5", 0),
    ]
    unpriced = select(provider=["ollama"], pattern=["draft_polish"])
    assert "unknown" in (describe_judges(catalog, pattern, unpriced) or "")


def test_the_command_answers_a_person_and_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["advise", "--calls-per-day", "300"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Stay with one model: 300 calls a day")
    assert "one model for the same work: balanced $47.70, expensive $95.40" in text
    assert "Claimed: Routing saves 60-80 %. Measured: 30-50 % at equal quality" in text
    assert cli.run(["advise", "--calls-per-day", "200000", "--json"]) == 0
    advice = json.loads(capsys.readouterr().out)
    assert advice["verdict"] == "split"
    assert Decimal(advice["saving_usd_per_month"]) > 0
    assert {"name", "models", "usd_per_month"} <= advice["options"][0].keys()
    assert Decimal(advice["options"][2]["one_model_usd_per_month"]["expensive"]) > 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "--calls-per-day"),
        (["--calls-per-day", "-1"], 2, "not a whole number"),
        (["--calls-per-day", "²"], 2, "not a whole number"),
        (["--calls-per-day", "9" * 5000], 2, "more than 999,999,999,999"),
        (["--calls-per-day", "5", "--hours", "nan"], 2, "not a number"),
        (["--calls-per-day", "5", "--hours", "1e999999"], 2, "more than 999,999,999,999"),
        (["--calls-per-day", "5", "--providers", "opnai"], 1, "did you mean openai?"),
        (["--calls-per-day", "5", "--providers", ","], 1, "choose at least one"),
    ],
)
def test_bad_input_gets_one_line(
    words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["advise", *words]) == status
    shown = capsys.readouterr().err
    assert message in one_mistake(shown)
