"""`doctor`: every configuration in which `ask` cannot work is a problem, with a way out."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import ledger_package
from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `doctor` on a desk's fleet.toml: its exit status and what it printed."""
    desk.models = desk.models or ["openai:gpt-5-mini"]

    def run(*words: str, write: bool = True) -> tuple[int, str]:
        if write:
            desk.write()
        monkeypatch.setenv("FLEET_ROOT", str(desk.root))
        monkeypatch.setattr("sys.argv", ["desk", "doctor", *words])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"{desk.package}.cli").main()
        printed = capsys.readouterr()
        code = ended.value.code
        return (code, printed.out) if isinstance(code, int) else (1, f"{printed.out}{code}")

    return run


def test_what_works_is_no_problem_and_shows_its_price(doctor: Run) -> None:
    status, told = doctor()
    assert (status, "problem:" in told) == (0, False), told
    assert "$0.25 in, $2.00 out" in told


def test_a_price_that_a_prefix_found_says_whose_it_is(desk: Desk, doctor: Run) -> None:
    desk.models = ["openai:gpt-5-nano-2099-01-01"]
    told = doctor()[1]
    assert "(as gpt-5-nano)" in told


def test_a_model_without_a_price_is_unpriced(desk: Desk, doctor: Run) -> None:
    desk.models = ["openai:no-such-model"]
    assert "unpriced" in doctor()[1]


def test_a_misspelt_check_names_the_right_one(desk: Desk, doctor: Run) -> None:
    desk.checks = ["not_empyt"]
    status, told = doctor()
    assert status == 1 and "did you mean 'not_empty'?" in told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[agents.ghost]\nchain = "main"\ndescription = "x"', "scaffold add agent ghost"),
        ('[agents.answer]\nchain = "main"\ndescription = "x"\nmpc = ["x"]', "mpc"),
        ('[data]\nunclassified = "personal"', "personal"),
        ('[budgets]\nat_limit = "cheap_only"\nmonth_usd = 1', "[chains.cheap]"),
        ('[deployments.far]\nbase_url = "gateway.invalid"', "deployments.far"),
        ('[mcp.files]\ncommand = ["no-such-command-here"]', "no-such-command-here"),
        ('[mcp.files]\nurl = "http://x.invalid"\ntoken_env = "NO_SUCH_TOKEN"', "NO_SUCH_TOKEN"),
    ],
)
def test_what_ask_trips_over_is_a_problem(desk: Desk, doctor: Run, more: str, told: str) -> None:
    desk.more = more + "\n"
    status, printed = doctor()
    assert status == 1 and told in printed


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[deployments.far]\nbase_url = "https://"', "deployments.far"),
        ("[budgets]\ncall_usd = 0.0000001", "raise its max_cost_usd"),
        ("[budgest]\nmonth_usd = 1", "did you mean [budgets]?"),
        ("[limits]\nopneai = 3", "[limits] names opneai, which nothing"),
        ("[limits]\n'openai@opneai' = 3", "did you mean openai@openai?"),
        ('[data]\n"openai@opneai" = ["public"]', "did you mean openai@openai?"),
        ("[budgets]\ntask_usd = {answring = 1}", "did you mean answering?"),
        ('[baseline]\nmodel = "openai:nobody-knows-it"', "The saving cannot be told"),
        ('[baseline]\nmodel = "opneai:gpt-5"', "The saving cannot be told"),
        ('[baseline]\nmodel = "openai:nobody@nowhere"', "The saving cannot be told"),
    ],
)
def test_what_has_no_effect_or_too_much_is_told(
    desk: Desk, doctor: Run, more: str, told: str
) -> None:
    desk.more = more + "\n"
    assert told in doctor()[1]


def test_a_price_of_a_model_that_nothing_asks(desk: Desk, doctor: Run) -> None:
    (desk.root / "prices.toml").write_text('["openai:gpt-5-mni@openai"]\nfactor = "0.5"\n')
    told = doctor()[1]
    assert "prices.toml names openai:gpt-5-mni@openai" in told and "did you mean" in told


@pytest.mark.parametrize("key", [" ", "k\n", "kö"])
def test_a_key_that_no_header_can_carry(
    doctor: Run, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    status, told = doctor()
    assert status == 1 and "OPENAI_API_KEY is blank, or has" in told


def test_an_address_in_the_environment_without_a_host(
    doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "gateway.invalid/v1")
    status, told = doctor()
    assert status == 1 and "OPENAI_BASE_URL is not an address" in told


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a router and a pattern, whose tables and stages the core does not know."""
    folder = tmp_path_factory.mktemp("routed") / "w"
    with ledger_package.importable(folder, "routed_desk", patterns=["router", "draft_polish"]):
        yield folder


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", ""),
        ("expensive_from = 3", "expensive_form = 3", "router.expensive_form"),
        ("expensive_from = 3", 'expensive_from = "x"', "router.expensive_from"),
        ("max_rounds = ", "max_ronds = ", "draft_polish.max_ronds"),
        ("[chains.expensive]", "[chains.dear]", "add [chains.expensive]"),
        ("[stages.classify]", "[stages.clasify]", "add [stages.classify]"),
        ("[stages.draft]", "[stages.darft]", "add [stages.draft]"),
    ],
)
def test_what_a_pattern_needs_of_fleet_toml(
    routed: Path, old: str, new: str, told: str, tmp_path: Path
) -> None:
    command = importlib.import_module("routed_desk.commands.doctor")
    fleet = importlib.import_module("routed_desk.runtime.fleet")
    text = (routed / "fleet.toml").read_text("utf-8")
    assert old in text
    # Another name for a chain would make the file itself wrong: its stages go along.
    text = text.replace(old, new).replace('chain = "expensive"', 'chain = "cheap"')
    (tmp_path / "fleet.toml").write_text(text, "utf-8")
    found = list(command.settings_problems(fleet.load(tmp_path / "fleet.toml"), None))
    assert [told in one for one in found] == ([True] if told else [])


def test_helpers_beside_the_sub_agents_need_no_stage(
    routed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("routed_desk.commands.doctor")
    fleet = importlib.import_module("routed_desk.runtime.fleet")
    monkeypatch.setitem(sys.modules, "routed_desk.agents.shared", ModuleType("shared"))
    assert not list(command.settings_problems(fleet.load(routed / "fleet.toml"), None))


def test_prices_that_cannot_be_read(desk: Desk, doctor: Run) -> None:
    (desk.root / "prices.toml").write_text("[nonsense")
    status, told = doctor()
    assert status == 1 and "prices.toml" in told


def test_a_ledger_that_cannot_be_made(
    desk: Desk, doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{desk.root}/fleet.toml/no.sqlite3")
    desk.write()
    status, told = doctor()
    assert status == 1 and "ledger" in told
    monkeypatch.setenv("FLEET_LEDGER_URL", "mysql://nowhere")
    assert doctor()[0] == 1


def test_a_missing_prompt(desk: Desk, doctor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    subagent = desk.module("runtime.subagent")
    monkeypatch.setattr(subagent, "PROMPTS", desk.root / "prompts")
    status, told = doctor()
    assert status == 1 and "prompts/answer.md is missing" in told


def test_a_provider_that_is_not_wired(desk: Desk, doctor: Run) -> None:
    desk.write()
    path = desk.root / "fleet.toml"
    path.write_text(path.read_text("utf-8").replace("openai:gpt-5-mini@", "opneai:gpt-5-mini@"))
    status, told = doctor(write=False)
    assert status == 1 and "did you mean 'openai'?" in told


def test_a_key_that_is_not_set(doctor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    status, told = doctor()
    assert status == 1 and "set OPENAI_API_KEY" in told


def test_a_budget_that_is_used_up(desk: Desk, doctor: Run, monkeypatch: Any) -> None:
    desk.more = "[budgets]\nmonth_usd = 1\n"
    queries = desk.module("runtime.ledger.queries")
    counter: Any = importlib.import_module("collections").Counter
    monkeypatch.setattr(queries, "month_by_task", lambda _: counter(answering=2 * 10**9))
    status, told = doctor()
    assert status == 1 and "month_usd is used up" in told


def test_live_asks_each_model_once_and_tells_what_came_of_it(desk: Desk, doctor: Run) -> None:
    desk.models = ["openai:ok", "openai:status-401", "anthropic:ok"]
    status, told = doctor("--live")
    assert status == 1
    assert [
        line.split()[1] for line in told.splitlines() if line.startswith(("openai:", "anthropic:"))
    ] == [
        "answers",
        "authentication",
        "answers",
    ]
    assert sorted(desk.hits()) == ["ok", "ok", "status-401"]
    rows = desk.rows("environment, task_type, outcome")
    assert {row[:2] for row in rows} == {("doctor", "doctor")}


def test_live_is_content_where_all_answer(desk: Desk, doctor: Run) -> None:
    desk.models = ["openai:ok"]
    desk.server.script["ok"] = [Reply(text="OK")]
    assert doctor("--live")[0] == 0


def test_live_asks_although_a_stage_has_a_problem(
    desk: Desk, doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.models = ["openai:ok"]
    monkeypatch.setattr(desk.module("runtime.subagent"), "PROMPTS", desk.root / "prompts")
    status, told = doctor("--live")
    assert (status, desk.hits()) == (1, ["ok"]), told
    assert "problem:" in told and "answers" in told


def test_live_stays_silent_where_the_workspace_does_not_open(desk: Desk, doctor: Run) -> None:
    desk.models, desk.checks = ["openai:ok"], ["not_empyt"]
    status, told = doctor("--live")
    assert (status, desk.hits()) == (1, []) and told.count("not_empyt") == 1


def test_doctor_makes_no_ledger(desk: Desk, doctor: Run) -> None:
    doctor()
    assert not (desk.root / "data" / "ledger.sqlite3").exists()


def test_a_module_that_does_not_load_is_told_in_a_line(
    desk: Desk, doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.module("wiring")
    monkeypatch.delattr(importlib.import_module(desk.package), "wiring")
    monkeypatch.setitem(sys.modules, f"{desk.package}.wiring", None)
    status, told = doctor()
    assert status == 1 and "cannot be loaded" in told and "Traceback" not in told
