"""`--verify` installs a workspace and runs its checks; the wheel works outside the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaffold import cli
from scaffold.workspace.verify import verify
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.installs
def test_a_fresh_workspace_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "desk"
    assert cli.run(["new", str(folder), "--defaults", "--verify", "--no-git"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[-5:]] == ["ok"] * 5
    (folder / "src/desk/broken.py").write_text("import nothing_of_that_name\n")
    results = {step.name: step.ok for step in verify(folder)}
    assert results["install"]
    assert not results["lint"]
    assert not results["types"]
    assert results["tests"]


@pytest.mark.slow
@pytest.mark.installs
def test_the_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    def run(*words: str) -> None:
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    uv = [sys.executable, "-m", "uv"]
    run(*uv, "build", "--wheel", "--quiet", "--out-dir", str(tmp_path / "dist"), str(ROOT))
    wheel = next((tmp_path / "dist").glob("*.whl"))
    run(*uv, "venv", "--quiet", "env")
    python = str(tmp_path / "env/bin/python")
    run(*uv, "pip", "install", "--quiet", "--python", python, str(wheel))
    run(str(tmp_path / "env/bin/scaffold"), "new", "desk", "--defaults", "--no-git")
    assert cli.run(["new", str(tmp_path / "ours/desk"), "--defaults", "--no-git"]) == 0
    assert list_files(tmp_path / "desk") == list_files(tmp_path / "ours/desk")


def test_without_uv_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    words = ["new", str(tmp_path / "desk"), "--defaults", "--verify", "--no-git"]
    assert cli.run(words) == 1
    assert "needs uv" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def list_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
