"""Two cheap models that agree, in place of a strong one: quality kept and money saved.

Replays recorded answers: gpt-4o-mini and gemini-1.5-flash are both asked and paid; where the
check `agreement` finds the same answer it is taken, else claude-3.5-sonnet is asked as well.
Nothing is fitted to the rows. `python -m benchmarks.bench_agreement`
"""

import gzip
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.duplicate_pairs import DATA
from scaffold.catalog.catalog import load
from scaffold.rendering.render import render
from tests.specs import complete

ROOT = Path(__file__).parents[1]
REPLAY = DATA.parent / "replay"
FIRST, SECOND, STRONG = "gpt-4o-mini-2024-07-18", "gemini-1.5-flash", "claude-3-5-sonnet-20241022"
# US dollars per million tokens in and out, when the answers were recorded.
USD = {FIRST: (0.15, 0.6), SECOND: (0.075, 0.3), STRONG: (3.0, 15.0)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        same = rendered(Path(folder) / "desk")
        print("rows            n  agree  quality kept  saving  cheap model alone")
        every = [rows(name) for name in ("gsm", "math-l5", "crux")]
        for name, some in zip(("gsm", "math-l5", "crux"), every, strict=True):
            report(name, some, same)
        report("all", [row for some in every for row in some], same)


def rendered(folder: Path) -> Callable[[str, str, str], bool]:
    """Return the comparison of a fresh workspace's check."""
    spec = complete(load(ROOT), {"extras": ["agreement"]}, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="benchmark", commit=None)
    sys.path.insert(0, str(folder / "src"))
    return importlib.import_module("desk.runtime.same_answer").is_same


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(REPLAY / f"zeroeval-{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["models"] for line in lines]


def report(name: str, some: list[dict[str, Any]], same: Callable[[str, str, str], bool]) -> None:
    agreed, right, strong, alone, cost, full = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for row in some:
        one, other = (json.dumps({"answer": str(row[m]["answer"])}) for m in (FIRST, SECOND))
        agrees = same(one, other, "answer")
        agreed += agrees
        right += row[FIRST if agrees else STRONG]["correct"]
        strong += row[STRONG]["correct"]
        alone += row[FIRST]["correct"]
        full += dollars(row, STRONG)
        cost += dollars(row, FIRST) + dollars(row, SECOND)
        cost += 0 if agrees else dollars(row, STRONG)
    print(
        f"{name:12}{len(some):5}  {agreed / len(some):5.1%}  {right / strong:12.1%}  "
        f"{1 - cost / full:6.1%}  {alone / strong:18.1%}"
    )


def dollars(row: dict[str, Any], model: str) -> float:
    tokens_in, tokens_out = row[model]["input_tokens"], row[model]["output_tokens"]
    return (tokens_in * USD[model][0] + tokens_out * USD[model][1]) / 1e6


if __name__ == "__main__":
    main()
