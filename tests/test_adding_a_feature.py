"""The worked example of docs/adding-a-feature.md, followed to the letter."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from scaffold.catalog.catalog import load
from scaffold.catalog.copier_questions import copier_yml
from scaffold.rendering.render import render
from tests import harness
from tests.conftest import ROOT
from tests.specs import complete

PAGE = (ROOT / "docs" / "adding-a-feature.md").read_text("utf-8")
BLOCK = re.compile(r"^`(templates/[^`]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A file of the example: its path on a line of its own, then a code block."""


def write_example(root: Path) -> list[str]:
    """Write the page's files into a copy of the templates; return their paths."""
    files = BLOCK.findall(PAGE)
    for path, text in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return [path for path, _ in files]


def test_the_example_imports_each_name_from_where_it_is_defined() -> None:
    core = ROOT / "templates" / "{{'.'}}" / "src" / "{{package}}"
    imports = re.findall(r"^from \.\.(runtime\.\w+) import (.+)$", PAGE, re.MULTILINE)
    assert imports
    for module, names in imports:
        code = ast.parse((core / f"{module.replace('.', '/')}.py").read_text("utf-8"))
        kinds = (ast.ClassDef, ast.FunctionDef)
        defined = {node.name for node in code.body if isinstance(node, kinds)}
        assert {*names.split(", ")} <= defined, module


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Render a workspace from the templates with the example's feature in them."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "templates", root / "templates")
    assert len(write_example(root)) == 7
    catalog = load(root)
    (root / "copier.yml").write_text(copier_yml(catalog), encoding="utf-8")
    answers = {"project_name": "Desk", "package": "desk", "patterns": ["headline"]}
    spec = complete(catalog, answers, folder_name="desk")
    folder = tmp_path / "desk"
    render(root, folder, spec.answers(), source="example", commit=None)
    return folder


@pytest.mark.slow
def test_the_example_works_as_the_page_says(workspace: Path) -> None:
    assert "most_characters = 60" in (workspace / "fleet.toml").read_text("utf-8")
    assert harness.run(workspace, "ruff", "check") == ""
    assert harness.run(workspace, "ruff", "format", "--check") == ""
    assert harness.run(workspace, "pytest", "-q") == ""
    assert harness.run(workspace, "desk", "demo") == ""
