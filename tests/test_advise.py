"""The advisor: its verdict, the figures it rests on, and what it refuses."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaffold import cli
from scaffold.catalog import economics
from scaffold.catalog import prices as models
from scaffold.catalog.advice import ONE_MODEL, SPLIT, Upkeep, advise
from scaffold.catalog.catalog import Catalogue, load
from scaffold.catalog.economics import Load, Option
from scaffold.catalog.manifest import TIERS, Tier
from tests.conftest import ROOT
from tests.messages import one_mistake

CATALOGUE = load(ROOT)
UPKEEP = Upkeep(Decimal(6), Decimal(100))


def options(one: int | None, *patterns: int | None) -> list[Option]:
    """The usual options at these dollars a month."""
    made = [Option("one good model", ("a:m",), None if one is None else Decimal(one))]
    made.append(Option("the best model for all", ("a:l",), Decimal(9999)))
    for at, usd in enumerate(patterns):
        made.append(Option(f"p{at}", ("a:s",), None if usd is None else Decimal(usd), "never."))
    return made


def test_under_a_thousand_calls_a_day_one_model_is_enough() -> None:
    told = advise(Load(999, 900, 350), options(50_000, 1), UPKEEP, None)
    assert told.verdict == ONE_MODEL
    assert "under 1,000" in told.reasons[0]


@pytest.mark.parametrize(("saving", "verdict"), [(599, ONE_MODEL), (600, ONE_MODEL), (601, SPLIT)])
def test_a_saving_has_to_pay_for_its_upkeep(saving: int, verdict: str) -> None:
    told = advise(Load(5000, 900, 350), options(1000, 1000 - saving, 990), UPKEEP, None)
    assert (told.verdict, told.saving_usd) == (verdict, saving)


def test_the_cheapest_pattern_is_the_one_compared() -> None:
    told = advise(Load(5000, 900, 350), options(9000, 500, 100, 300), UPKEEP, None)
    assert told.best is not None
    assert told.best.name == "p1"
    assert "never" in told.reasons[-1]


@pytest.mark.parametrize("found", [options(None, 1), options(5, None), options(5)])
def test_an_unknown_price_is_no_saving(found: list[Option]) -> None:
    told = advise(Load(5000, 900, 350), found, UPKEEP, None)
    assert told.verdict == ONE_MODEL
    assert "unknown" in told.reasons[0]


@pytest.mark.parametrize(("calls", "verdict"), [(10, ONE_MODEL), (50_000, SPLIT)])
def test_what_one_model_cannot_read_is_compared_with_the_one_that_can(
    calls: int, verdict: str
) -> None:
    load = Load(calls, 500_000, 350)
    found = economics.options(CATALOGUE, load, ["mistral"])
    assert found[0].too_long and not found[1].too_long
    told = advise(load, found, UPKEEP, None)
    assert (told.verdict, told.baseline) == (verdict, found[1])
    assert "do not fit" in told.reasons[0] and "the best model for all" in told.reasons[0]


def test_the_largest_figures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    most = str(10**12 - 1)
    names = ("calls-per-day", "input-tokens", "output-tokens", "hours", "usd-per-hour")
    assert cli.run(["advise", *(word for name in names for word in (f"--{name}", most))]) == 0
    assert capsys.readouterr().out


@settings(deadline=None)
@given(calls=st.integers(1, 10**7), tokens=st.integers(1, 10**5))
def test_from_the_break_even_on_and_only_there_it_splits(calls: int, tokens: int) -> None:
    def told_at(calls_per_day: int) -> str:
        wanted = Load(calls_per_day, tokens, tokens)
        found = economics.options(CATALOGUE, wanted, ["anthropic", "openai"])
        return advise(wanted, found, UPKEEP, None).verdict

    wanted = Load(calls, tokens, tokens)
    found = economics.options(CATALOGUE, wanted, ["anthropic", "openai"])
    advised = advise(wanted, found, UPKEEP, None)
    even = advised.break_even_calls
    if even is None:  # what is the same for every request costs more than a short one
        assert (advised.saving_usd or 0) <= 0
        assert advised.verdict == ONE_MODEL
        return
    assert told_at(even) == SPLIT
    assert told_at(even - 1) == ONE_MODEL or even == economics.FEW_CALLS


def test_one_good_model_costs_its_list_price(catalogue: Catalogue) -> None:
    fact = models.facts(catalogue, "anthropic:claude-sonnet-5-5")
    assert fact.input_usd is not None
    assert fact.output_usd is not None
    one = economics.options(catalogue, Load(100, 2000, 500), ["anthropic"])[0]
    usd = (2000 * fact.input_usd + 500 * fact.output_usd) / 10**6 * 100 * 30
    assert one.usd_per_month == usd


# Dollars per million tokens in and out: haiku 0.10/0.50, sonnet 2/10, opus 4/20. A request of
# 16,000 tokens with an answer of 500, worked out by hand for each pattern.
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


@pytest.mark.parametrize("name", [p.name for p in CATALOGUE.of("pattern")])
def test_each_pattern_costs_what_it_costs_by_hand(name: str) -> None:
    found = {o.name: o for o in economics.options(CATALOGUE, Load(5000, 16000, 500), ["anthropic"])}
    assert float(found[name].usd_per_month or 0) == pytest.approx(BY_HAND[name] * 0.15)


def test_the_extractor_reads_a_document_once_and_beats_both_single_models() -> None:
    found = {o.name: o for o in economics.options(CATALOGUE, Load(5000, 16000, 500), ["anthropic"])}
    assert found["extractor_reasoner"].usd_per_month == Decimal("4102.5")
    assert found["one good model"].usd_per_month == 5550
    longer = {
        o.name: o for o in economics.options(CATALOGUE, Load(5000, 100000, 500), ["anthropic"])
    }
    told = advise(Load(5000, 100000, 500), [*longer.values()], UPKEEP, None)
    assert told.verdict == SPLIT
    assert told.best is longer["extractor_reasoner"]


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
    found = economics.options(CATALOGUE, load, providers)
    larger = Load(calls + more[0], read + more[1], written + more[2])
    for option, dearer in zip(found, economics.options(CATALOGUE, larger, providers), strict=True):
        if option.usd_per_month is not None and dearer.usd_per_month is not None:
            assert dearer.usd_per_month >= option.usd_per_month
        assert not (option.too_long and not dearer.too_long)
    for option in found[2:]:
        work = Load(calls, read + option.source_tokens, written)
        one, best = economics.options(CATALOGUE, work, providers)[:2]
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
    found = economics.options(CATALOGUE, load, providers)
    told = advise(load, found, UPKEEP, today)
    assert told.reasons
    assert told.best is None or told.best.comparable
    if told.verdict == SPLIT and told.saving_usd is not None:
        assert calls >= economics.FEW_CALLS
        assert told.saving_usd > UPKEEP.usd_per_month
    if told.verdict == SPLIT and told.saving_usd is None:
        assert told.baseline.too_long
    priced = [o.usd_per_month for o in found[2:] if o.comparable and o.usd_per_month is not None]
    if told.best is not None:
        assert told.best.usd_per_month == min(priced)


def test_no_calls_cost_nothing_and_save_nothing() -> None:
    found = economics.options(CATALOGUE, Load(0, 900, 350), ["anthropic"])
    assert {option.usd_per_month for option in found} == {Decimal(0)}
    told = advise(Load(0, 900, 350), found, UPKEEP, None)
    assert told.reasons == ("0 calls a day are under 1,000: too few to split",)


def test_an_expensive_scorer_saves_nothing_on_short_texts(catalogue: Catalogue) -> None:
    pattern = catalogue.get("pattern", "draft_polish")
    haiku, opus = "anthropic:claude-haiku-5-5", "anthropic:claude-opus-5-5"
    chains = {"cheap": [haiku], "scorer": [opus], "expensive": [opus]}
    assert economics.per_1000_of(catalogue, pattern, chains) == Decimal("11.435")
    outright = models.usd(catalogue, opus, Decimal(600), Decimal(450))
    assert outright == Decimal("0.0114")
    assert round(Decimal("0.011435"), 5) == Decimal("0.01144")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("providers", [["anthropic"], ["openai"], ["mistral"]])
def test_a_judge_pays_from_the_length_that_is_told_on(
    catalogue: Catalogue, tier: Tier, providers: list[str]
) -> None:
    pattern = catalogue.get("pattern", "draft_polish")
    answers = {"providers": providers, "patterns": ["draft_polish"], "agents": []}
    scorer = catalogue.default_models(tier, providers)[0]
    chains = {**catalogue.default_chains(answers), "scorer": [scorer]}
    writer = chains["expensive"][0]
    least = economics.pays_from(catalogue, pattern, chains, scorer, writer)
    assert least is not None

    def saving(text: int) -> Decimal:
        c, s, e = (models.facts(catalogue, ref) for ref in (chains["cheap"][0], scorer, writer))
        assert c.input_usd and c.output_usd and s.input_usd and s.output_usd
        assert e.input_usd and e.output_usd
        seen = 600 + text + 250
        split = 600 * c.input_usd + text * c.output_usd + seen * s.input_usd + 120 * s.output_usd
        split += (seen * e.input_usd + text * e.output_usd) / 4
        return 600 * e.input_usd + text * e.output_usd - split

    assert saving(least) > 0
    assert least == 0 or saving(least - 1) <= 0


def test_a_judge_pays_from_454_tokens_or_123(catalogue: Catalogue) -> None:
    pattern = catalogue.get("pattern", "draft_polish")
    answers = {"providers": ["anthropic"], "patterns": ["draft_polish"], "agents": []}
    assert economics.judges(catalogue, pattern, answers) == [
        ("anthropic:claude-sonnet-5-5", 123),
        ("anthropic:claude-opus-5-5", 454),
        ("anthropic:claude-haiku-5-5", 0),
    ]
    unpriced = {**answers, "providers": ["ollama"]}
    assert "unknown" in (economics.judges_in_words(catalogue, pattern, unpriced) or "")


def test_the_command_tells_a_person_and_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["advise", "--calls-per-day", "300"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Stay with one model: 300 calls a day")
    assert "one model for the same work: balanced $47.70, expensive $95.40" in text
    assert "Claimed: Routing saves 60-80 %. Measured: 30-50 % at equal quality" in text
    assert cli.run(["advise", "--calls-per-day", "200000", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "split"
    assert Decimal(told["saving_usd_per_month"]) > 0
    assert {"name", "models", "usd_per_month"} <= told["options"][0].keys()
    assert Decimal(told["options"][2]["one_model_usd_per_month"]["expensive"]) > 0


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
