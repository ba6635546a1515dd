"""What `doctor` finds beyond what `ask` trips over: settings, limits and models."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flat_prices import set_prices

from desk import wiring
from desk.diagnoses import limits, models, settings
from desk.runtime.errors import FleetError, SettingsError
from desk.runtime.failure_kinds import Failure
from desk.runtime.fleet import Deployment, load
from desk.runtime.ledger import queries
from desk.runtime.ledger.attempt import Attempt, new_id
from desk.runtime.ledger.prices import Prices
from desk.runtime.ledger.writer import Ledger
from desk.runtime.settings import Settings

ROOT = Path(__file__).parents[1]
FLEET = """
[chains.main]
models = ["acme:gpt-5-mini", "nobody:unknown"]
[stages.answer]
chain = "main"
task_type = "answering"
"""
Find = Callable[..., list[str]]


class Acme:
    """A provider with a key and an address of its own."""

    PRICES = "openai"

    def keys(self, deployment: Deployment) -> tuple[str, ...]:
        return ("ACME_KEY", "ACME_ENDPOINT")


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """Return what a module finds in this text as fleet.toml: problems begin with `!`."""
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    monkeypatch.setitem(wiring.PROVIDERS, "acme", Acme())

    def run(module: Any, text: str) -> list[str]:
        (tmp_path / "fleet.toml").write_text(text, "utf-8")
        found = module.diagnose(tmp_path, load(tmp_path / "fleet.toml"))
        return [f"!{one}" if isinstance(one, FleetError) else one for one in found]

    return run


@pytest.mark.parametrize("module", [settings, limits])
def test_sound_settings_have_no_symptoms(find: Find, module: Any) -> None:
    assert find(module, FLEET) == []


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('[deployments.far]\nbase_url = "gateway.invalid"', "!deployments.far.base_url is not an"),
        ('[deployments.far]\nbase_url = "https://"', "!deployments.far.base_url is not an"),
        ('[deployments.far]\nbase_url = "https://[::1"', "!deployments.far.base_url is not an"),
        ("[budgest]\nmonth_usd = 1", "Nothing reads [budgest] of fleet.toml: did you mean"),
        ("[limits]\nacne = 3", "[limits] names acne, which nothing in fleet.toml asks: did you"),
        ("[limits]\n'x@y' = 3", "[limits] names x@y, which nothing in fleet.toml asks."),
        ('[data]\nacne = ["public"]', "[data] names acne"),
        ("[budgets]\ntask_usd = {answring = 1}", "did you mean answering?"),
    ],
)
def test_a_setting_that_is_wrong_or_has_no_effect(find: Find, more: str, found: str) -> None:
    assert [found in one for one in find(settings, f"{FLEET}{more}\n")] == [True]


def test_a_price_of_a_model_that_nothing_asks(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    set_prices(monkeypatch, {"acme:gpt-5-mni": (1, 1)})
    found = find(settings, FLEET)
    assert len(found) == 1 and "acme:gpt-5-mni" in found[0] and "mean acme:gpt-5-mini?" in found[0]
    assert not find(settings, FLEET + '[baseline]\nmodel = "acme:gpt-5-mni"\n')


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("ACME_KEY", " ", "!ACME_KEY is blank, or has"),
        ("ACME_KEY", "k\n", "!ACME_KEY is blank, or has"),
        ("ACME_KEY", "kö", "!ACME_KEY is blank, or has"),
        ("ACME_ENDPOINT", "gateway.invalid", "!ACME_ENDPOINT is not an address"),
        ("ACME_BASE_URL", "gateway.invalid/v1", "!ACME_BASE_URL is not an address"),
    ],
)
def test_a_variable_that_is_wrong(
    find: Find, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, found: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert [one.startswith(found) for one in find(settings, FLEET)] == [True]


class DeskSettings(Settings):
    """The table that the router below reads."""

    most: int = 3


class Desk:
    """A router with a table of its own, named like this module."""


def test_a_table_of_a_feature(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "ROUTER", Desk())
    table = f"[{__name__.rpartition('.')[2]}]\n"
    assert find(settings, f"{FLEET}{table}most = 4\n") == []
    (found,) = find(settings, f"{FLEET}{table}msot = 4\n")
    assert found.startswith("!") and "did you mean 'most'?" in found


@pytest.mark.parametrize("table", ["'acme:gpt-5-mini'", "{model = ['x']}", "{modle = 'acme:x'}"])
def test_a_wrong_baseline_is_a_problem_where_one_is_read(find: Find, table: str) -> None:
    found = find(settings, f"baseline = {table}\n{FLEET}")
    assert [one[0] for one in found] == (["!"] if wiring.SAVING else [])


def test_tables_of_this_workspace_are_sound() -> None:
    assert not list(settings.find_wrong_tables(load(ROOT / "fleet.toml")))


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('[data]\nunclassified = "personal"', "!Data of class 'personal', which requests without"),
        ("[budgets]\nat_limit = 'cheap_only'", '!at_limit = "cheap_only" needs [chains.cheap]'),
    ],
)
def test_a_limit_that_stops_requests(find: Find, more: str, found: str) -> None:
    assert found in find(limits, f"{FLEET}{more}\n")[0]


def test_a_cap_below_any_cost(find: Find) -> None:
    capped = FLEET.replace(', "nobody:unknown"', "") + "[budgets]\ncall_usd = 0.0000001\n"
    assert "!No call of chain main can cost less than 1E-7" in find(limits, capped)[0]


def test_a_class_that_may_go_nowhere(find: Find) -> None:
    fleet = f"{FLEET}[data]\nacme = ['public']\n[data.regions]\npersonal = ['eu']\n"
    assert find(limits, fleet) == ["Data of class 'personal' may go to no model of chain main."]


def test_a_budget_that_is_used_up(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "month_by_task", lambda _: Counter(answering=2 * 10**9))
    budgets = "[budgets]\nmonth_usd = 1\n[budgets.task_usd]\nanswering = 1\n"
    found = find(limits, FLEET + budgets)
    assert [re.findall(r"budget (\S+) is used up \(\$2", one) for one in found] == [
        ["month_usd"],
        ["task_usd.answering"],
    ]


def test_a_model_about_to_be_withdrawn(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prices, "leaving", lambda *_: "use b")
    assert "acme:gpt-5-mini is about to be withdrawn: use b" in find(models, FLEET)


def test_a_model_that_refuses_us(find: Find, tmp_path: Path) -> None:
    row = Attempt(
        ts_us=time.time_ns() // 1000,
        call_id=new_id(),
        run_id=new_id(),
        provider="acme",
        request_model="gpt-5-mini",
        task_type="answering",
        stage="answer",
        chain="main",
        attempt=1,
        outcome="failed",
        error_type=Failure.AUTHENTICATION,
    )
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    asyncio.run(ledger.write([row]))
    ledger.close()
    assert "acme:gpt-5-mini: authentication, 1 times in the last day" in find(models, FLEET)


def test_prices_that_cannot_be_read_are_an_error(find: Find, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[nonsense")
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        find(models, FLEET)
