"""Two whole workspaces, kept so that a template change is reviewed as rendered code.

`python -m tests.snapshots_tool` renders them again.
"""

import shutil
from pathlib import Path

from scaffold.catalog.presets import PRESETS
from tests import harness

FOLDER = Path(__file__).parent / "snapshots"
KEPT = {"default": {}, "single": dict(PRESETS["single"].answers)}


def refresh(folder: Path) -> None:
    """Render both into `folder`, replacing what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, answers in KEPT.items():
        harness.render_workspace(folder / name, answers)


if __name__ == "__main__":
    refresh(FOLDER)
