"""What a workspace renders is covered by the tests that it renders: 90 %, branches included.

`python -m tests.rendered_coverage NAME` shows the lines that no test runs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaffold.catalog.feature import Feature
from tests import harness
from tests.rendered_coverage import RENDERS, measure
from tests.turns import SINGLES, mark_renders

LIMIT = 90.0
POSTGRESQL = "its code needs a PostgreSQL server, which only the generator's tests start"
FEATURES = {
    "extra_ledger_postgresql": POSTGRESQL,
}
"""Features whose own code is exempt, and why."""

OFTEN = ("default", "preset_single")
"""Workspaces that are measured with every change."""


def measured() -> Iterator[Any]:
    """Yield the workspaces to measure; single features take turns."""
    presets = [name for name in RENDERS if name.startswith("preset_") and name not in OFTEN]
    yield from OFTEN
    yield from (pytest.param(name, marks=pytest.mark.full) for name in ("core", *presets))
    yield from mark_renders(SINGLES)


def own_files(feature: Feature) -> set[str]:
    """Return the modules that a feature and the hidden ones it requires bring."""
    hidden = [f for f in harness.CATALOG.features if f.hidden and f.ref in feature.requires]
    names: set[str] = set()
    for source in (feature, *hidden):
        root = source.folder / "src" / "{{package}}"
        names |= {path.relative_to(root).as_posix() for path in root.rglob("*.py")}
    return {f"src/desk/{name}" for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*measured()])
def test_a_workspace_is_covered_by_its_own_tests(name: str, tmp_path: Path) -> None:
    """Measure the whole workspace and, where one feature was chosen, that feature's own code."""
    coverage = measure(name, tmp_path / "desk")
    assert not harness.run(tmp_path / "desk", "desk", "demo")
    assert coverage.percent >= LIMIT
    feature = next((f for f in harness.CATALOG.features if f.id == name), None)
    if feature is None or feature.kind == "core" or name in FEATURES:
        return
    files = own_files(feature)
    own = [file for file in coverage.files if file.name in files]
    if own:
        percent = 100 * sum(f.covered for f in own) / max(1, sum(f.total for f in own))
        assert percent >= LIMIT, [(file.name, file.missing) for file in own if file.missing]
