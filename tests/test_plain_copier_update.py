"""A workspace stays one of plain copier's: it updates wherever the template's address is reachable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scaffold.sources import releases
from tests.fork import append, commit, git, make_fork, new


def copier_update(desk: Path, **environment: str) -> dict[str, object]:
    """Run `copier update --defaults` and return the answers file."""
    copier = Path(sys.executable).with_name("copier")
    done = subprocess.run(
        [str(copier), "update", "--quiet", "--defaults"],
        cwd=desk,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))


@pytest.mark.slow
def test_from_a_teams_own_template(tmp_path: Path) -> None:
    fork = make_fork(tmp_path / "fork")
    desk = new(tmp_path / "desk", "--template", str(fork), "--ref", "v1.0.0")
    append(desk / "src/desk/workspace.py", "\nOURS = 1\n")
    commit(desk)
    assert copier_update(desk)["_commit"] == "v1.1.0"
    assert (desk / "HISTORY.md").is_file()
    assert "OURS = 1" in (desk / "src/desk/workspace.py").read_text("utf-8")


@pytest.mark.slow
def test_from_the_released_templates_by_the_redirect_of_the_docs(tmp_path: Path) -> None:
    first, *_, last = releases.list_releases()
    desk = new(tmp_path / "desk", "--ref", first)
    append(desk / ".gitignore", "/private/\n")
    commit(desk)
    answers = copier_update(
        desk,
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.{releases.BUNDLE}.insteadOf",
        GIT_CONFIG_VALUE_0=releases.URL,
        COPIER_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert answers["_commit"] == last
    assert "/private/" in (desk / ".gitignore").read_text("utf-8").splitlines()
    assert "M" in git(desk, "status", "--porcelain")
