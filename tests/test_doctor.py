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

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `doctor` on a desk's fleet.toml; return its exit status and what it printed."""
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


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Render a workspace with a router and a pattern, whose tables and stages the core does not know."""
    folder = tmp_path_factory.mktemp("routed") / "w"
    with ledger_package.importable(
        folder, "routed_desk", patterns=["router", "draft_polish"], extras=["diagnosis"]
    ):
        yield folder


def find_problems(fleet: Any) -> list[str]:
    """Return what is wrong with the tables that patterns read, and which are missing."""
    importlib.import_module("routed_desk.wiring")
    command = importlib.import_module("routed_desk.commands.doctor")
    tables = importlib.import_module("routed_desk.diagnoses.settings")
    found = [*tables.find_wrong_tables(fleet), *command.find_missing_tables(fleet)]
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
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
    routed: Path, old: str, new: str, shown: str, tmp_path: Path
) -> None:
    fleet = importlib.import_module("routed_desk.runtime.fleet")
    text = (routed / "fleet.toml").read_text("utf-8")
    assert old in text
    # Another name for a chain would make the file itself wrong: its stages go along.
    text = text.replace(old, new).replace('chain = "expensive"', 'chain = "cheap"')
    (tmp_path / "fleet.toml").write_text(text, "utf-8")
    found = find_problems(fleet.load(tmp_path / "fleet.toml"))
    assert [shown in one for one in found] == ([True] if shown else [])


def test_helpers_beside_the_sub_agents_need_no_stage(
    routed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = importlib.import_module("routed_desk.runtime.fleet")
    monkeypatch.setitem(sys.modules, "routed_desk.agents.shared", ModuleType("shared"))
    assert not find_problems(fleet.load(routed / "fleet.toml"))


def test_live_asks_each_model_once_and_shows_what_came_of_it(desk: Desk, doctor: Run) -> None:
    desk.models = ["openai:ok", "openai:status-401", "anthropic:ok"]
    status, shown = doctor("--live")
    assert status == 1
    assert [
        line.split()[1] for line in shown.splitlines() if line.startswith(("openai:", "anthropic:"))
    ] == [
        "answers",
        "authentication",
        "answers",
    ]
    assert sorted(desk.hits()) == ["ok", "ok", "status-401"]
    rows = desk.rows("environment, task_type, outcome")
    assert {row[:2] for row in rows} == {("doctor", "doctor")}
