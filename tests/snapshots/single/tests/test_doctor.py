"""`doctor` finds whatever keeps `ask` from working, and says what to do about it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from desk import cli, diagnoses, wiring
from desk.runtime import subagent
from desk.runtime.errors import SettingsError
from desk.runtime.fleet import Deployment
from desk.runtime.subagent import SubAgent

ROOT = Path(__file__).parents[1]
FLEET = re.sub(
    r"^models = \[.*?\]",
    'models = ["acme:gpt-5-mini", "acme:unheard-of"]',
    (ROOT / "fleet.toml").read_text("utf-8"),
    flags=re.DOTALL | re.MULTILINE,
)
# A workspace with a tiny budget asks nothing more after the first answer.
FLEET = re.sub("^month_usd = [^ ]+", "month_usd = 0", FLEET, flags=re.MULTILINE)
CHAIN = re.findall(r"^\[chains\.(\w+)\]", FLEET, re.MULTILINE)[0]
ANSWER = 'task_type = "answering"\n'
Run = Callable[..., tuple[int | str | None, str]]


class Acme:
    """A provider whose models need a key; the one of an unknown name refuses it."""

    PRICES = "openai"

    def keys(self, deployment: Deployment) -> tuple[str, ...]:
        return ("ACME_KEY",)

    def build(self, model: str, deployment: Deployment) -> Model:
        def answer(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            if model == "unheard-of":
                raise ModelHTTPError(status_code=401, model_name=model)
            return ModelResponse(parts=[TextPart("OK")])

        return FunctionModel(answer, model_name=model)


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run `doctor` on this text as fleet.toml; return its exit status and what it printed."""
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/data/ledger.sqlite3")
    monkeypatch.setenv("ACME_KEY", "very-secret")
    monkeypatch.setitem(wiring.PROVIDERS, "acme", Acme())
    monkeypatch.setattr(diagnoses, "DIAGNOSES", [])

    def run(fleet: str = FLEET, *words: str) -> tuple[int | str | None, str]:
        (tmp_path / "fleet.toml").write_text(fleet, "utf-8")
        monkeypatch.setattr("sys.argv", ["workspace", "doctor", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code, f"{shown.out}{shown.err}{ended.value.code}"

    return run


def test_a_sound_workspace_shows_its_models_keys_and_prices(doctor: Run, tmp_path: Path) -> None:
    status, shown = doctor()
    assert (status, "problem:" in shown) == (0, False), shown
    assert "ACME_KEY set" in shown and "very-secret" not in shown
    assert "$0.25 in, $2.00 out" in shown and "unpriced" in shown
    assert "Template unknown, ledger " in shown
    assert not (tmp_path / "data").exists()


def test_the_version_of_the_template_is_shown(doctor: Run, tmp_path: Path) -> None:
    (tmp_path / ".copier-answers.yml").write_text("_commit: v1.2.3\n")
    assert "Template v1.2.3," in doctor()[1]


def test_a_price_of_another_name_says_whose_it_is(doctor: Run) -> None:
    assert "(as gpt-5-nano)" in doctor(FLEET.replace("unheard-of", "gpt-5-nano-2099-01-01"))[1]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (ANSWER, f'{ANSWER}checks = ["no_such"]\n', "'no_such'"),
        ('"acme:', '"acne:', "hint: did you mean 'acme'?"),
        ("[budgets]", "[budgets]\nat_limit = 'no'", "budgets.at_limit"),
        (
            "[budgets]",
            f"[agents.ghost]\nchain = '{CHAIN}'\ndescription = 'x'\n[budgets]",
            "scaffold add agent ghost",
        ),
    ],
)
def test_a_setting_that_ask_trips_over(doctor: Run, old: str, new: str, problem: str) -> None:
    assert old in FLEET
    status, shown = doctor(FLEET.replace(old, new))
    assert status != 0 and problem in shown


def test_a_key_that_is_not_set(doctor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_KEY")
    status, shown = doctor()
    assert status == 1 and "ACME_KEY not set" in shown and "hint: set ACME_KEY" in shown
    assert "no key" in doctor(FLEET, "--live")[1]


def test_the_environment_of_recorded_requests_is_not_for_real_ones(
    doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_ENVIRONMENT", "demo")
    status, text = doctor()
    assert status == 1
    assert "problem: FLEET_ENVIRONMENT is 'demo', which is the name for recorded requests" in text


def test_prices_that_cannot_be_read(doctor: Run, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[nonsense")
    status, shown = doctor()
    assert status == 1 and shown.count("problem: prices.toml") == 1


def test_a_missing_prompt(doctor: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subagent, "PROMPTS", tmp_path / "prompts")
    status, shown = doctor()
    assert status == 1 and "prompts/answer.md is missing" in shown


def test_a_ledger_that_cannot_be_made(
    doctor: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"sqlite:///{tmp_path}/fleet.toml/no.sqlite3", "mysql://nowhere"):
        monkeypatch.setenv("FLEET_LEDGER_URL", url)
        status, shown = doctor()
        assert status == 1 and "ledger" in shown.partition("problem:")[2].lower()


def test_a_ledger_that_is_none(doctor: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite3").write_text("not a database, whatever its name says")
    status, shown = doctor()
    assert status == 1 and "ledger.sqlite3" in shown.partition("problem:")[2]


def test_what_the_code_asks_and_fleet_toml_lacks(
    doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("lost")
    vars(module)["SubAgent"] = SubAgent
    monkeypatch.setitem(sys.modules, "desk.agents.lost", module)
    monkeypatch.setattr(wiring, "ROUTER", SimpleNamespace(CHAINS=("nowhere",)))
    status, shown = doctor()
    assert status == 1 and "add [stages.lost]" in shown and "add [chains.nowhere]" in shown


def test_without_a_router_the_answer_needs_a_stage(
    doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "ROUTER", object())
    fleet = FLEET.replace("[stages.answer]", "[stages.another]")
    assert "add [stages.answer]" in doctor(fleet)[1]


def test_a_module_that_does_not_load_is_named(doctor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["desk"], "wiring")
    monkeypatch.setitem(sys.modules, "desk.wiring", None)
    status, shown = doctor()
    assert status != 0 and "cannot be loaded" in shown and "Traceback" not in shown


def test_what_the_features_look_for_is_shown(doctor: Run) -> None:
    def fail(*_: object) -> list[str]:
        raise SettingsError("This diagnosis fails")

    diagnoses.DIAGNOSES += [lambda *_: ["Worth a look."]]
    status, shown = doctor()
    assert status == 0 and "note: Worth a look." in shown
    diagnoses.DIAGNOSES += [fail, lambda *_: [SettingsError("This is wrong", "mend it")]]
    status, shown = doctor()
    assert status == 1 and "problem: This diagnosis fails" in shown
    assert "problem: This is wrong\nhint: mend it\n" in shown


def test_live_asks_each_model_once(doctor: Run) -> None:
    status, shown = doctor(FLEET, "--live")
    rows = [line.split()[:2] for line in shown.splitlines() if line.startswith("acme:")]
    assert rows == [["acme:gpt-5-mini", "answers"], ["acme:unheard-of", "authentication"]]
    assert status == 1
    assert doctor(FLEET.replace("unheard-of", "gpt-5"), "--live")[0] == 0


def test_live_asks_although_a_stage_has_a_problem(
    doctor: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subagent, "PROMPTS", tmp_path / "prompts")
    status, shown = doctor(FLEET, "--live")
    assert status == 1 and "problem:" in shown and "answers" in shown


def test_live_asks_nothing_where_the_workspace_does_not_open(doctor: Run) -> None:
    wrong = FLEET.replace(ANSWER, f'{ANSWER}checks = ["no_such"]\n')
    status, shown = doctor(wrong, "--live")
    assert status == 1 and "answers" not in shown and shown.count("'no_such'") == 1
