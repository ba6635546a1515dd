"""The labelled texts of tests/data, and the half of them that no rule was made on."""

import hashlib
import json
from typing import Any

from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "data"


def read(name: str, *keys: str, frozen: bool) -> list[dict[str, Any]]:
    """Return the rows of one half; `keys` are the fields that are the text."""
    lines = (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [row for row in rows if is_frozen("\n".join(row[key] for key in keys)) == frozen]


def is_frozen(text: str) -> bool:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2 == 0


def score(verdicts: list[tuple[bool, bool]]) -> tuple[float, float]:
    """Return precision and recall of (label, verdict) pairs."""
    hits = sum(label and verdict for label, verdict in verdicts)
    said = sum(verdict for _, verdict in verdicts)
    true = sum(label for label, _ in verdicts)
    return hits / max(said, 1), hits / max(true, 1)
