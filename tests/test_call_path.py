"""How many modules a reader passes who follows `new` and `update` from the command line down."""

import importlib
import pkgutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import copier
import pytest

import scaffold
from scaffold import cli

MOST_NEW = 28
MOST_UPDATE = 52
HOME = Path(scaffold.__file__).parent
pytestmark = pytest.mark.usefixtures("templates_anew")


def import_everything() -> None:
    """Import every module, so that a trace shows what runs and not what is imported."""
    for module in pkgutil.walk_packages(scaffold.__path__, "scaffold."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def trace(*words: str) -> list[str]:
    """Run a command and return the modules of which a function is called, in that order."""
    passed: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(HOME)):
            passed.setdefault(Path(code.co_filename).relative_to(HOME).as_posix())

    def render_untraced(*args: Any, **options: Any) -> None:
        # Copier calls a million functions, none of them ours.
        sys.setprofile(None)
        try:
            render(*args, **options)
        finally:
            sys.setprofile(note)

    import_everything()
    render = copier.run_copy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier, "run_copy", render_untraced)
        sys.setprofile(note)
        try:
            status = cli.run(words)
        finally:
            sys.setprofile(None)
    assert status == 0
    return list(passed)


def test_new_passes_few_modules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passed = trace("new", str(tmp_path / "desk"), "--defaults")
    capsys.readouterr()
    print(len(passed), *passed, sep="\n")
    assert len(passed) <= MOST_NEW


@pytest.mark.slow
def test_update_passes_few_modules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = str(tmp_path / "desk")
    assert cli.run(["new", desk, "--defaults", "--ref", "v0.5.0"]) == 0
    passed = trace("update", desk)
    capsys.readouterr()
    print(len(passed), *passed, sep="\n")
    assert len(passed) <= MOST_UPDATE
