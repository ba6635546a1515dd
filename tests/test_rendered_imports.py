"""Imports of a rendered workspace point one way, those for types included.

The rules are in rendered_imports.toml; they have no exceptions.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import harness
from tests.rendered_coverage import RENDERS

RULES = Path(__file__).with_name("rendered_imports.toml").read_text("utf-8")


def check_imports(source: Path) -> str:
    """Return what import-linter says of the package in `source`, or "" if it keeps to the rules."""
    package = source / "desk"
    # Folders without an __init__.py are packages to Python, but not to import-linter.
    for folder in {module.parent for module in package.rglob("*.py")}:
        (folder / "__init__.py").touch()
    (source / "rules.toml").write_text(RULES, "utf-8")
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "rules.toml"],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["core", "default", "preset_everything"])
def test_imports_point_one_way(name: str, tmp_path: Path) -> None:
    workspace = harness.render_workspace(tmp_path / "desk", RENDERS[name])
    problem = check_imports(workspace / "src")
    assert not problem, problem


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("runtime/errors.py", "from .chain import Chain"),
        ("runtime/fleet.py", "from ..wiring import PROVIDERS"),
        ("runtime/text.py", "from .request import Request"),
        ("runtime/errors.py", "if TYPE_CHECKING:\n    from .request import Request"),
    ],
)
def test_an_import_upwards_is_found(module: str, line: str, tmp_path: Path) -> None:
    workspace = harness.render_workspace(tmp_path / "desk", RENDERS["core"])
    file = workspace / "src/desk" / module
    file.write_text(f"{file.read_text('utf-8')}\n{line}\n", "utf-8")
    assert "BROKEN" in check_imports(workspace / "src")
