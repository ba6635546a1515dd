"""A team's edit of every file it may have, in every preset: none is lost where files have moved."""

from pathlib import Path

import pytest

from scaffold import cli
from scaffold.catalog.presets import PRESETS
from tests.fork import append, commit, git, new
from tests.test_update_releases import NEXT, VERSIONS, next_release, with_next

__all__ = ["next_release", "with_next"]

STARTS = sorted({"v0.5.0", VERSIONS[-1]})
"""The release that most workspaces come from, and the newest."""


def edit_every_module(desk: Path) -> list[str]:
    """Append a line of the team's to each module; return the lines."""
    lines: list[str] = []
    for path in sorted((desk / "src").rglob("*.py")):
        line = f"# the team's edit of {path.relative_to(desk).as_posix()}"
        append(path, f"\n\n{line}\n")
        lines.append(line)
    commit(desk)
    return lines


def find_lines(desk: Path) -> str:
    """Return the text of every file of the workspace, and of each conflict's version in git."""
    ours = git(desk, "ls-files", "--unmerged").splitlines()
    blobs = [git(desk, "cat-file", "blob", entry.split()[1]) for entry in ours]
    texts = [path.read_text("utf-8") for path in sorted((desk / "src").rglob("*.py"))]
    return "\n".join([*texts, *blobs])


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
@pytest.mark.parametrize("version", STARTS)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_an_edit_of_every_module_survives(
    preset: str, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = new(tmp_path / "desk", "--ref", version, "--preset", preset)
    lines = edit_every_module(desk)
    assert cli.run(["update", str(desk), "--to", NEXT]) in (0, 3)
    text = find_lines(desk)
    assert [line for line in lines if line not in text] == [], capsys.readouterr().out
