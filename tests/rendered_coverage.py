"""Measure how much of a rendered workspace its own tests cover, branches included.

`python -m tests.rendered_coverage [NAME...]` prints it for the default workspace, or for the named
ones (`preset_single`, `pattern_research`, …), with the files that miss most; `--files WORD` has the
files whose names contain a word, with all lines that no test runs.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import harness

RENDERS: dict[str, dict[str, Any]] = {
    "default": {},
    **dict(harness.presets(harness.CATALOG)),
    **dict(harness.alone(harness.CATALOG)),
}
SHOWN_FILES = 12
# The folders of a workspace have no __init__.py: without this, a module that no test imports is
# left out instead of counted.
SETTINGS = """
[run]
branch = true
source = src
[report]
include_namespace_packages = true
"""


@dataclass(frozen=True)
class FileCoverage:
    """One file of `src`: its lines and branches, how many are covered, and the lines that are not."""

    name: str
    covered: int
    total: int
    missing: tuple[int, ...]

    @property
    def percent(self) -> float:
        """The share that is covered."""
        return 100 * self.covered / max(1, self.total)


@dataclass(frozen=True)
class Coverage:
    """The share of lines and branches that the workspace's tests run, in total and by file."""

    percent: float
    files: tuple[FileCoverage, ...]


def measure(name: str, folder: Path) -> Coverage:
    """Render the workspace of this name into `folder`, run its tests, and return what they cover."""
    workspace = harness.render_workspace(folder, RENDERS[name])
    (workspace / ".coveragerc").write_text(SETTINGS, "utf-8")
    tests = ("pytest", "-p", "no:cacheprovider")
    problem = harness.run(workspace, "coverage", "run", "-m", *tests) or harness.run(
        workspace, "coverage", "json", "-q", "-o", "coverage.json"
    )
    if problem:
        raise AssertionError(problem)
    report = json.loads((workspace / "coverage.json").read_text("utf-8"))
    files = tuple(_read_file(name, entry) for name, entry in report["files"].items())
    return Coverage(report["totals"]["percent_covered"], files)


def _read_file(name: str, entry: dict[str, Any]) -> FileCoverage:
    summary = entry["summary"]
    return FileCoverage(
        name=name,
        covered=summary["covered_lines"] + summary["covered_branches"],
        total=summary["num_statements"] + summary["num_branches"],
        missing=tuple(entry["missing_lines"]),
    )


def main() -> None:
    """Print the coverage of the named workspaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["default"], metavar="NAME")
    parser.add_argument("--files", metavar="WORD", help="only files whose names contain WORD")
    options = parser.parse_args()
    for name in options.names:
        if name not in RENDERS:
            sys.exit(f"error: unknown workspace '{name}'\nhint: one of {', '.join(RENDERS)}")
        with tempfile.TemporaryDirectory() as folder:
            coverage = measure(name, Path(folder) / "desk")
        print(f"{name}: {coverage.percent:.1f} %")
        worst = sorted(coverage.files, key=lambda file: -len(file.missing))[:SHOWN_FILES]
        if options.files:
            worst = [file for file in coverage.files if options.files in file.name]
        for file in worst:
            lines = ", ".join(map(str, file.missing))
            print(f"  {file.percent:5.1f} %  {file.name}: {lines}")


if __name__ == "__main__":
    main()
