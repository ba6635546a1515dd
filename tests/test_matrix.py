"""Every feature alone, every preset, and pairs: lint, format, types, and their own tests.

The pairs' own tests take long: `.ci/full` has them.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaffold.manifest import MANIFEST
from tests import harness

RENDERS = {
    name: answers
    for source in (harness.alone, harness.presets, harness.pairs)
    for name, answers in source(harness.CATALOGUE)
}
RENDERS["default"] = {}


def _rendered() -> Iterator[Any]:
    """Every render, the pairs marked `full`."""
    for name in RENDERS:
        waits = name.startswith("pair_")
        yield pytest.param(name, marks=[pytest.mark.full] if waits else [])


def test_no_two_features_own_the_same_path() -> None:
    owner: dict[str, str] = {}
    for feature in harness.CATALOGUE.features:
        for path in feature.folder.rglob("*"):
            name = path.relative_to(feature.folder).as_posix().removesuffix(".jinja")
            if path.is_file() and name != MANIFEST and not name.startswith("_parts/"):
                assert owner.setdefault(name, feature.id) == feature.id, name


def test_stage_and_question_names_are_unique() -> None:
    keys = [key for feature in harness.CATALOGUE.features for key in feature.questions]
    assert len(keys) == len(set(keys))


def test_the_longest_package_is_clean(tmp_path: Path) -> None:
    everything = {"patterns": [f.name for f in harness.CATALOGUE.of("pattern")]}
    folder = harness.rendered(tmp_path / "w", {**everything, "package": "p" * 30})
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", RENDERS)
def test_render_is_clean(name: str, tmp_path: Path) -> None:
    folder = harness.rendered(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", RENDERS)
def test_render_is_typed(name: str, tmp_path: Path) -> None:
    folder = harness.rendered(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "basedpyright", "--pythonpath", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*_rendered()])
def test_rendered_tests_pass(name: str, tmp_path: Path) -> None:
    folder = harness.rendered(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")
    assert not harness.run(folder, RENDERS[name].get("package", "desk"), "demo")
