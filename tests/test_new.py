"""`scaffold new` and `scaffold list` as a user calls them."""

import ast
import io
import json
import os
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaffold import cli
from scaffold.catalog.catalog import load
from scaffold.catalog.presets import PRESETS
from scaffold.errors import ExitStatus
from tests.conftest import ROOT
from tests.examples import first_quick
from tests.messages import one_mistake


def new(folder: Path, *words: str) -> int:
    return cli.run(["new", str(folder), "--no-git", *words])


def test_defaults_write_a_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path / "desk", "--defaults") == 0
    assert (tmp_path / "desk/src/desk/workspace.py").is_file()
    assert "uv run desk demo" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["desk"]


def test_without_a_terminal_nothing_is_asked_and_defaults_are_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaffold", "new", "desk", "--no-git", "--set", "patterns=[]"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "so defaulted" in done.stderr


@pytest.mark.parametrize("preset", first_quick(PRESETS))
def test_dry_run_shows_every_preset_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str
) -> None:
    assert new(tmp_path / "desk", "--preset", preset, "--dry-run") == 0
    assert "fleet.toml" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_single_is_small(tmp_path: Path) -> None:
    assert new(tmp_path / "desk", "--preset", "single") == 0
    assert sum(path.is_file() for path in (tmp_path / "desk").rglob("*")) <= 88


def code_lines(module: Path) -> int:
    """Lines with code: no blank ones, no comments, no docstrings."""
    text = module.read_text("utf-8")
    message = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (*blank, tokenize.ENDMARKER)
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - message)


def test_default_is_small(workspace: Path) -> None:
    files = [path for path in workspace.rglob("*") if path.is_file()]
    source = [path for path in files if "src" in path.parts]
    assert len(files) <= 120
    assert sum(code_lines(path) for path in source if path.suffix == ".py") <= 5850
    # docs/decisions/0007 says what the rest is.
    assert sum(len(path.read_text("utf-8").splitlines()) for path in source) <= 8800


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path / "desk", "--json") == 0
    message = json.loads(capsys.readouterr().out)
    assert message["answers"]["package"] == "desk"
    assert ".copier-answers.yml" in message["files"]


def test_json_errors_are_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path / "desk", "--json", "--set", "package=json") == 1
    message = json.loads(capsys.readouterr().out)
    assert message["error"]["problems"][0]["key"] == "package"


def test_answers_file_and_set_win_over_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "answers.yml"
    file.write_text("providers: [groq]\ndescription: From a file\n_commit: v9\n")
    words = ["--preset", "starter", "--answers", str(file), "--set", "description=From the line"]
    assert new(tmp_path / "desk", *words) == 0
    project = tomllib.loads((tmp_path / "desk/pyproject.toml").read_text("utf-8"))["project"]
    assert project["description"] == "From the line"
    assert any("[groq]" in requirement for requirement in project["dependencies"])


def test_a_recorded_answers_file_makes_the_same_workspace(tmp_path: Path) -> None:
    assert new(tmp_path / "a", "--defaults", "--set", "project_name=desk") == 0
    assert new(tmp_path / "b", "--answers", str(tmp_path / "a/.copier-answers.yml")) == 0
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "x"], "is not KEY=VALUE"),
        (["--set", "package=[a"], "is not YAML"),
        (["--preset", "singel"], "did you mean single?"),
        (["--preset", ""], "unknown preset ''"),
        (["--answers", "absent.yml"], "cannot be read"),
        (["--template", "absent-folder"], "template cannot be had"),
        (["--ref", "v99.0.0"], "is newer than this scaffold"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert new(tmp_path / "desk", "--defaults", *words) == 1
    shown = capsys.readouterr().err
    assert message in one_mistake(shown)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just text", "\x00"])
def test_an_answers_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answers.yml"
    file.write_text(text)
    assert new(tmp_path / "desk", "--answers", str(file)) == 1
    assert not (tmp_path / "desk").exists()


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/precious.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert new(tmp_path / "desk", "--defaults") == 1
    assert new(tmp_path / "file", "--defaults") == 1
    assert new(tmp_path / "file/below", "--defaults") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["desk", "file", "precious.txt"]


def test_an_empty_folder_and_a_deep_one_will_do(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    assert new(tmp_path / "desk", "--defaults") == 0
    assert new(tmp_path / "a b/ü/../desk", "--defaults") == 0
    assert (tmp_path / "a b/desk/fleet.toml").is_file()


def test_git_makes_one_commit(tmp_path: Path) -> None:
    assert cli.run(["new", str(tmp_path / "desk"), "--defaults"]) == 0
    asked = ["git", "-C", str(tmp_path / "desk"), "status", "--porcelain", "--branch"]
    message = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert message.splitlines() == ["## main"]


def test_without_git_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert cli.run(["new", str(tmp_path / "desk"), "--defaults"]) == 1
    assert "--no-git" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


HOSTILE = st.one_of(
    st.text(max_size=320),
    st.sampled_from(
        [
            "{{ 7*7 }}",
            "{% raw %}",
            "$(touch owned)",
            "`id`",
            "../../x",
            "a\"b'c\\d",
            "🚀 é",
            "#{x}",
            "'''",
        ]
    ),
)


@pytest.mark.slow
@given(name=HOSTILE, about=HOSTILE, handles=HOSTILE)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_hostile_text_is_refused_or_stays_text(
    tmp_path_factory: pytest.TempPathFactory, name: str, about: str, handles: str
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    agent = {"name": "one", "description": handles, "chain": "cheap"}
    answers = {"project_name": name, "package": "desk", "description": about, "agents": [agent]}
    given_ = [f"--set={key}={json.dumps(value)}" for key, value in answers.items()]
    status = new(folder / "desk", "--defaults", *given_)
    assert status in (0, 1)
    if status:
        assert not list(folder.iterdir())
        return
    assert [path.name for path in folder.iterdir()] == ["desk"]
    project = tomllib.loads((folder / "desk/pyproject.toml").read_text("utf-8"))["project"]
    fleet = tomllib.loads((folder / "desk/fleet.toml").read_text("utf-8"))
    assert project["description"] == about
    assert fleet["agents"]["one"]["description"] == handles


def test_list_shows_flows_keys_and_prices(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", "patterns"]) == 0
    shown = capsys.readouterr().out
    assert "classify" in shown
    assert "Not when" in shown
    assert cli.run(["list", "provider", "--json"]) == 0
    providers = json.loads(capsys.readouterr().out)["provider"]
    assert len(providers) == len(load(ROOT).of("provider"))
    assert providers[0]["env"] == ["ANTHROPIC_API_KEY"]


@pytest.mark.parametrize(
    "words", [["list", "nonsense"], ["add", "nonsense", "x"], ["remove", "nonsense", "x"]]
)
def test_an_unknown_kind_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(words) == ExitStatus.USAGE
    shown = capsys.readouterr()
    assert shown.err.startswith("error: argument KIND: ")
    assert "pattern" in shown.err
    assert "nonsense" in shown.err
    assert shown.out == ""


def test_extras_are_listed_by_name_those_on_by_default_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["list", "extra", "--json"]) == ExitStatus.DONE
    rows = json.loads(capsys.readouterr().out)["extra"]
    on, off = ([row["name"] for row in rows if row["default"] is which] for which in (True, False))
    assert on
    assert off
    assert [row["name"] for row in rows] == sorted(on) + sorted(off)


def test_help_imports_nothing_heavy() -> None:
    probe = "import sys, scaffold.cli as c\ntry: c.run(['--help'])\nexcept SystemExit: pass\n"
    probe += "print([m for m in ('copier', 'pydantic', 'questionary', 'yaml') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=os.environ, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
