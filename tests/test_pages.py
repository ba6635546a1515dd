"""The pages of this repository name files and modules that are there."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(
    r"`((?:scaffold|tests|benchmarks|docs|\.ci)/(?!\.\.\.)[\w./-]*)`|\]\(([\w./-]+)\)"
)
"""A path in backticks, but for `tests/...`, or a link."""
MODULE = re.compile(r"(?:`|-m )(scaffold(?:\.[a-z_]+)+)")
FILE = re.compile(r"`(\w+\.py)`")


def has_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_what_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    paths = [ROOT / path if path else page.parent / link for path, link in NAMED.findall(text)]
    assert not [path for path in paths if not path.exists()]
    assert not [name for name in MODULE.findall(text) if not has_module(name)]


def test_the_architecture_names_modules_of_the_generator() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    named = FILE.findall(text.partition("## The workspace")[0])
    modules = {path.name for path in (ROOT / "scaffold").rglob("*.py")}
    assert named
    assert {*named} <= modules
