"""What a workspace renders is covered by the tests that it renders: 90 %, branches included.

What is on a list here is exempt. Whoever brings tests for it takes it off the list, and nothing is
added. `python -m tests.rendered_coverage NAME` shows the lines that no test runs.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scaffold.catalog.feature import Feature
from tests import harness
from tests.rendered_coverage import RENDERS, Coverage, measure

LIMIT = 90.0
POSTGRESQL = "its code needs a PostgreSQL server, which only the generator's tests start"
COVERED = {"default", "preset_single"}
"""Workspaces that are covered; none is taken off again."""
WORKSPACES = {
    name: "some of its extras are still tested by the generator's tests alone"
    for name in RENDERS
    if name not in COVERED
}
"""Workspaces that are exempt as a whole, and why."""
FEATURES = {
    "extra_ledger_postgresql": POSTGRESQL,
}
"""Features whose own code is exempt, and why."""

FEATURE_IDS = [f.id for f in harness.CATALOG.features if f.id in RENDERS and f.id != "core"]


@cache
def coverage_of(name: str) -> Coverage:
    with TemporaryDirectory() as folder:
        return measure(name, Path(folder) / "desk")


def own_files(feature: Feature) -> set[str]:
    """Return the modules that a feature and the hidden ones it requires bring."""
    hidden = [f for f in harness.CATALOG.features if f.hidden and f.ref in feature.requires]
    names: set[str] = set()
    for source in (feature, *hidden):
        root = source.folder / "src" / "{{package}}"
        names |= {path.relative_to(root).as_posix() for path in root.rglob("*.py")}
    return {f"src/desk/{name}" for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("default", "preset_single") else pytest.param(name, marks=pytest.mark.full)
        for name in RENDERS
    ],
)
def test_a_workspace_is_covered_by_its_own_tests(name: str) -> None:
    if name in WORKSPACES:
        pytest.skip(WORKSPACES[name])
    assert coverage_of(name).percent >= LIMIT


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("name", FEATURE_IDS)
def test_a_features_own_code_is_covered_by_its_tests(name: str) -> None:
    if name in FEATURES:
        pytest.skip(FEATURES[name])
    feature = next(f for f in harness.CATALOG.features if f.id == name)
    files = own_files(feature)
    own = [file for file in coverage_of(name).files if file.name in files]
    percent = 100 * sum(f.covered for f in own) / max(1, sum(f.total for f in own))
    if own:
        assert percent >= LIMIT, [(file.name, file.missing) for file in own if file.missing]
