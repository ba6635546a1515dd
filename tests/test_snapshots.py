"""The committed snapshots are what the templates render."""

from pathlib import Path

from tests.snapshots_tool import FOLDER, refresh

ADVICE = "run `python -m tests.snapshots_tool` and review the difference"


def test_snapshots_are_current(tmp_path: Path) -> None:
    refresh(tmp_path / "now")
    assert read_files(tmp_path / "now") == read_files(FOLDER), ADVICE


def read_files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
