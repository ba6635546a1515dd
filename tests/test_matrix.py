"""Every feature alone, every preset, odd answers, and pairs: lint, format, types, their own tests.

Types and tests of single features and pairs take long: `.ci/run` has those of the day, `.ci/full`
has them all.
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scaffold.catalog.feature import MANIFEST
from tests import harness

RENDERS = {
    name: answers
    for source in (harness.alone, harness.presets, harness.odd, harness.pairs)
    for name, answers in source(harness.CATALOG)
}
RENDERS["default"] = {}


PAIRS = [name for name in RENDERS if name.startswith("pair_")]
PAIRS_A_DAY = 4
SINGLES = [name for name, _ in harness.alone(harness.CATALOG) if name != "core"]
SINGLES_A_DAY = 15


def choose_share(names: list[str], a_day: int, today: date) -> set[str]:
    """Return the names of a day: each has its turn once before any has a second one."""
    first = today.toordinal() * a_day
    return {names[at % len(names)] for at in range(first, first + a_day)}


def renders_of_the_day(today: date) -> set[str]:
    """Return the single features and the pairs whose day it is."""
    singles = choose_share(SINGLES, SINGLES_A_DAY, today)
    return singles | choose_share(PAIRS, PAIRS_A_DAY, today)


def mark_renders() -> Iterator[Any]:
    """Yield each render; those that take turns are marked as today's, or as the full matrix's."""
    today = renders_of_the_day(date.today())
    for name in RENDERS:
        mark = pytest.mark.of_the_day if name in today else pytest.mark.full
        yield pytest.param(name, marks=[mark] if name in {*SINGLES, *PAIRS} else [])


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
@pytest.mark.parametrize("name", [*mark_renders()])
def test_render_is_typed(name: str, tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "basedpyright", "--pythonpath", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*mark_renders()])
def test_rendered_tests_pass(name: str, tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / name, RENDERS[name])
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")
    assert not harness.run(folder, RENDERS[name].get("package", "desk"), "demo")
