"""Every feature alone, every preset, odd answers, and pairs: lint, format, types, their own tests.

Types and tests of single features and pairs take long: `.ci/run` has those of the day, `.ci/full`
has them all. The tests of single features run in `test_coverage.py`, which measures them.
"""

import sys
from datetime import date
from pathlib import Path

import pytest

from scaffold.catalog.feature import MANIFEST
from tests import harness
from tests.turns import (
    PAIRS,
    PAIRS_A_DAY,
    RENDERS,
    SINGLES,
    SINGLES_A_DAY,
    mark_renders,
    renders_of_the_day,
)


def test_every_single_feature_and_pair_has_its_day() -> None:
    days = max(-(-len(PAIRS) // PAIRS_A_DAY), -(-len(SINGLES) // SINGLES_A_DAY))
    shares = [renders_of_the_day(date.fromordinal(700_000 + day)) for day in range(days)]
    assert set().union(*shares) == {*SINGLES, *PAIRS}


def test_no_two_features_own_the_same_path() -> None:
    owner: dict[str, str] = {}
    for feature in harness.CATALOG.features:
        for path in feature.folder.rglob("*"):
            name = path.relative_to(feature.folder).as_posix().removesuffix(".jinja")
            if path.is_file() and name != MANIFEST and not name.startswith("_parts/"):
                assert owner.setdefault(name, feature.id) == feature.id, name


def test_stage_and_question_names_are_unique() -> None:
    keys = [key for feature in harness.CATALOG.features for key in feature.questions]
    assert len(keys) == len(set(keys))


def test_the_longest_package_is_clean(tmp_path: Path) -> None:
    everything = {"patterns": [f.name for f in harness.CATALOG.of("pattern")]}
    folder = harness.render_workspace(tmp_path / "w", {**everything, "package": "p" * 30})
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", RENDERS)
def test_render_is_clean(name: str, tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*mark_renders(RENDERS)])
def test_render_is_typed(name: str, tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "basedpyright", "--pythonpath", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*mark_renders(name for name in RENDERS if name not in SINGLES)])
def test_rendered_tests_pass(name: str, tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")
    assert not harness.run(folder, RENDERS[name].get("package", "desk"), "demo")
