"""The advisor: its verdict, the figures it rests on, and what it refuses."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffold import cli, economics, models
from scaffold.advice import ONE_MODEL, SPLIT, Upkeep, advise
from scaffold.catalogue import Catalogue, load
from scaffold.economics import Load, Option
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


@given(calls=st.integers(1, 10**7), tokens=st.integers(1, 10**5))
def test_from_the_break_even_on_and_only_there_it_splits(calls: int, tokens: int) -> None:
    def told_at(calls_per_day: int) -> str:
        wanted = Load(calls_per_day, tokens, tokens)
        found = economics.options(CATALOGUE, wanted, ["anthropic", "openai"])
        return advise(wanted, found, UPKEEP, None).verdict

    wanted = Load(calls, tokens, tokens)
    found = economics.options(CATALOGUE, wanted, ["anthropic", "openai"])
    even = advise(wanted, found, UPKEEP, None).break_even_calls
    assert even is not None
    assert told_at(even) == SPLIT
    assert told_at(even - 1) == ONE_MODEL or even == economics.FEW_CALLS


def test_one_good_model_costs_its_list_price(catalogue: Catalogue) -> None:
    fact = models.facts(catalogue, "anthropic:claude-sonnet-5-5")
    assert fact.input_usd is not None
    assert fact.output_usd is not None
    one = economics.options(catalogue, Load(100, 2000, 500), ["anthropic"])[0]
    usd = (2000 * fact.input_usd + 500 * fact.output_usd) / 10**6 * 100 * 30
    assert one.usd_per_month == usd


def test_the_command_tells_a_person_and_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["advise", "--calls-per-day", "300"]) == 0
    assert capsys.readouterr().out.startswith("Stay with one model: 300 calls a day")
    assert cli.run(["advise", "--calls-per-day", "200000", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "split"
    assert Decimal(told["saving_usd_per_month"]) > 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "--calls-per-day"),
        (["--calls-per-day", "-1"], 2, "no whole number"),
        (["--calls-per-day", "5", "--hours", "nan"], 2, "no number"),
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
