"""The pages of a workspace name files that it has, and explain its settings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.conftest import ROOT
from tests.rendered_coverage import RENDERS

# Written by the workspace itself, by uv or by its team.
COME_LATER = {".env", "data/ledger.sqlite3", "prices.toml", "documents"}
PATH = re.compile(r"`([\w./-]+/|[\w./-]*\.(?:py|md|toml|sqlite3|env)|[\w-]+/[\w./-]+)`")
PLACEHOLDER = re.compile(r"(?<![A-Za-z])[A-Z]+(?![A-Za-z])")
PAGES = {"README.md", "AGENTS.md"}
LINK = re.compile(r"\]\(([\w./-]+)\)")


def paths_of(page: str) -> set[str]:
    """Return the paths that a page names, in backticks or as a link."""
    names = {*PATH.findall(page), *LINK.findall(page)}
    return {name for name in names if name in PAGES or not PLACEHOLDER.search(name)}


def missing_paths(page: str, *folders: Path) -> list[str]:
    """Return the paths of a page that are in none of the folders."""
    names = sorted(paths_of(page) - COME_LATER)
    return [name for name in names if not any((folder / name).exists() for folder in folders)]


@pytest.mark.parametrize("name", ["core", "default", "preset_everything"])
def test_pages_name_what_is_there(name: str, tmp_path: Path) -> None:
    workspace = harness.render_workspace(tmp_path / "desk", RENDERS[name])
    package = workspace / "src/desk"
    pages = [*workspace.glob("*.md"), *workspace.glob("docs/*.md")]
    texts = {page.name: page.read_text("utf-8") for page in pages}
    assert {"runtime/failure_kinds.py", "fleet.toml"} <= paths_of(texts["README.md"])
    missing = {page: missing_paths(text, workspace, package) for page, text in texts.items()}
    assert not any(missing.values()), missing


def test_the_architecture_names_what_a_workspace_has(tmp_path: Path) -> None:
    workspace = harness.render_workspace(tmp_path / "desk", RENDERS["preset_everything"])
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = text[text.index("## The workspace") :]
    package = workspace / "src/desk"
    folders = (workspace, package, package / "runtime", package / "runtime/ledger")
    assert not missing_paths(table, *folders)


def test_every_setting_of_the_core_is_explained(tmp_path: Path) -> None:
    workspace = harness.render_workspace(tmp_path / "desk", RENDERS["preset_everything"])
    text = "".join((workspace / name).read_text("utf-8") for name in ("README.md", "fleet.toml"))
    keys = set(settings_in(workspace / "src/desk/runtime/fleet.py"))
    assert {"deadline_s", "max_requests", "base_url"} <= keys
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


def settings_in(module: Path) -> Iterator[str]:
    """Yield the keys of the tables of fleet.toml, from the classes that read them."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and "Settings" in " ".join(map(ast.unparse, node.bases)):
            fields = (line.target for line in node.body if isinstance(line, ast.AnnAssign))
            names = (field.id for field in fields if isinstance(field, ast.Name))
            yield from (name for name in names if not name.startswith("_"))
