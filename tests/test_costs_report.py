"""`costs` on ledgers whose truth is known: the sums, the periods, the formats, the bad input."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs_ledger import CHEAP, DEAR, attempts, write
from tests.ledger_package import importable, module


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("costs") / "w"
    with importable(folder, "report_desk", extras=["cost_reports"]) as name:
        yield name


@pytest.fixture(scope="module")
def store(package: str) -> Any:
    return module(package, "store")


@pytest.fixture(scope="module")
def queries(package: str) -> Any:
    return module(package, "queries")


@pytest.fixture
def cli(package: str) -> ModuleType:
    return __import__(f"{package}.cli", fromlist=["main"])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> Path:
    """Where the commands look for the ledger; there is none yet."""
    file = Path(__import__(package).__file__ or "").parents[2]
    monkeypatch.setenv("FLEET_ROOT", str(file))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def costs(
    path: Path, cli: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run `costs` with these words on `path`: its exit status or advice, and what it printed."""
    assert not path.exists()

    def run(*words: str) -> tuple[Any, str]:
        monkeypatch.setattr("sys.argv", ["desk", "costs", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return run


def test_help_loads_no_library_for_models(package: str, cli: ModuleType) -> None:
    code = (
        f"import sys; from {package} import cli\n"
        "sys.argv[1:] = ['--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print({'pydantic_ai', 'genai_prices', 'httpx'} & set(sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__ or "").parents[1])}
    words = [sys.executable, "-c", code]
    printed = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert printed.stdout.splitlines()[-1] == "set()"


@given(nano=st.integers(1, 10**15))
def test_an_amount_is_never_shown_as_nothing(package: str, nano: int) -> None:
    shown = module(package, "report_text").dollars(nano)
    value = float(shown.removeprefix("$").replace(",", ""))
    assert value > 0
    assert abs(value - nano / 1e9) <= max(0.005 * nano / 1e9, 0.005 if nano >= 10**9 else 0)


def write_varied(store: Any, path: Path) -> Path:
    """Write attempts that differ in all that a counter of the rollup looks at."""
    rows: list[Any] = []
    for at, outcome in enumerate([*store.OUTCOMES, "ok", "ok"]):
        unpriced = at % 4 == 3
        rows += attempts(
            store,
            3 + at,
            days_ago=at % 3,
            model=(DEAR, CHEAP)[at % 2],
            outcome=outcome,
            attempt=1 + at % 2,
            latency_ms=5 * 7**at,
            cost_nano_usd=None if unpriced else 1000 + at,
            cost_source="unpriced" if unpriced else "list",
            quality=(None, 0.25, 0.875)[at % 3],
            cache_read_input_tokens=(None, 40)[at % 2],
            user_ref=(None, "ann", "bob")[at % 3],
            agent=("analyst", None)[at % 2],
            tags=('{"team": "red"}', '{"team": "blue", "n": 1}', "{}")[at % 3],
        )
    return write(store, path, rows, attempts(store, 4, days_ago=8, environment="demo"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a package without any extra."""
    with importable(tmp_path_factory.mktemp("plain") / "w", "plain_desk") as name:
        yield name


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a package with the findings that new workspaces have, and no more."""
    folder = tmp_path_factory.mktemp("usual") / "w"
    with importable(folder, "usual_desk", extras=["findings"]) as name:
        yield name


@pytest.mark.parametrize("desk", ["plain", "usual"])
def test_without_the_reports_costs_say_how_to_get_them(
    desk: str,
    path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = request.getfixturevalue(desk)
    write(module(package, "store"), path, attempts(module(package, "store"), 3))
    cli = __import__(f"{package}.cli", fromlist=["main"])
    monkeypatch.setattr("sys.argv", ["desk", "costs", "--html", "x.html"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and "--html" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["desk", "costs", "--by", "user"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert "`scaffold add extra cost_reports`" in str(ended.value.code)
    assert [one.partition(":")[0] for one in str(ended.value.code).splitlines()] == [
        "error",
        "hint",
    ]
    monkeypatch.setattr("sys.argv", ["desk", "costs"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0 and DEAR in capsys.readouterr().out
