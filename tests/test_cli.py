"""The program's edge: statuses, messages, and one JSON object where one is promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scaffold import cli
from scaffold.commands import new
from scaffold.errors import ToolError


def test_a_mistake_is_an_error_a_hint_and_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("")
    assert cli.run(["new", str(tmp_path / "mine"), "--defaults", "--no-git"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (f"error: {tmp_path / 'mine'} is a file\nhint: name another folder\n")


@pytest.mark.parametrize("words", [[], ["nwe"], ["new"], ["new", "x", "--no-such-option"]])
def test_usage_errors_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 2
    assert "--help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--set", "patterns=[ruoter]", "--set", "packge=x"], 1),
        (["--set", "package=["], 1),
        (["--no-such-option"], 2),
    ],
)
def test_json_holds_for_errors_too(
    words: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["new", str(tmp_path / "x"), "--no-git", "--json", *words]) == status
    assert json.loads(capsys.readouterr().out)["error"]["message"]
    assert not any(tmp_path.iterdir())


def test_every_problem_is_reported_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "patterns=[ruoter]", "--set", "packge=x", "--json", "--no-git"]
    assert cli.run(["new", str(tmp_path / "x"), *words]) == 1
    problems = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert {problem["key"] for problem in problems} == {"patterns", "packge"}


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(new, "run", interrupt)
    assert cli.run(["new", str(tmp_path / "x")]) == 130


def test_a_missing_tool_is_reported_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.run(["new", str(tmp_path / "x"), "--defaults"]) == ToolError.exit_status
    assert "--no-git" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scaffold import cli\n"
        "try:\n    cli.run(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'copier', 'pydantic', 'yaml', 'questionary'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
