"""`evaluate`: run eval sets through the real flow."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import fleet
from ..runtime.errors import FleetError, MissingKey, SettingsError
from ..runtime.ledger.attempt import DEMO
from ..runtime.ledger.report_text import dollars, table
from ..runtime.text import printable

if TYPE_CHECKING:
    from ..runtime.evals import Case
    from ..workspace import Workspace

HELP = "run eval sets through the real flow, and show the accuracy per task"
CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, run: what its result misses, and what it cost in nano-dollars."""

    pipeline: str
    id: str
    task: str
    missed: tuple[str, ...]
    cost_nano_usd: int | None


@dataclass(slots=True)
class Accuracy:
    """How many cases of one task came out as expected, and what they cost in nano-dollars."""

    pipeline: str
    task: str
    cases: int = 0
    good: int = 0
    cost_nano_usd: int | None = 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the pipeline and how its cases are run."""
    parser.add_argument("pipeline", nargs="?", help="evals/PIPELINE.jsonl (default: every set)")
    parser.add_argument(
        "--recorded", action="store_true", help="the cases' own replies instead of models"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Run the cases and print how they came out; exit status 1 when a case missed what is expected of it."""
    from ..runtime.evals import load

    root = fleet.find_root()
    marked: list[CaseResult] = []
    for path in _find_sets(root, options.pipeline):
        cases = [case for case in load(path) if case.replies or not options.recorded]
        marked += asyncio.run(_run_cases(root, path.stem, cases, recorded=options.recorded))
    if options.json:
        report = {"tasks": [asdict(task) for task in _sum_up(marked)]}
        report["cases"] = [asdict(one) for one in marked]
        print(json.dumps(report, ensure_ascii=False))
    else:
        _print(marked)
    return 1 if any(one.missed for one in marked) else 0


def _find_sets(root: Path, pipeline: str | None) -> list[Path]:
    folder = root / "evals"
    paths = sorted(folder.glob(f"{pipeline or '*'}.jsonl"))
    if not paths:
        known = ", ".join(path.stem for path in sorted(folder.glob("*.jsonl"))) or "none yet"
        raise SettingsError(f"evals/{pipeline or '*'}.jsonl does not exist", f"eval sets: {known}")
    return paths


async def _run_cases(
    root: Path, pipeline: str, cases: Sequence["Case"], *, recorded: bool
) -> list[CaseResult]:
    from ..runtime.recorded import RecordedModel, Tape
    from ..workspace import Workspace

    free = asyncio.Semaphore(CONCURRENCY)
    if not recorded:
        async with Workspace.open(root) as workspace:
            return await asyncio.gather(*(_run_case(workspace, pipeline, c, free) for c in cases))
    marked: list[CaseResult] = []
    for case in cases:
        build = partial(RecordedModel, tape=Tape(case.scene()))
        async with Workspace.open(root, build=build) as workspace:
            workspace.environment = DEMO
            marked.append(await _run_case(workspace, pipeline, case, free))
    return marked


async def _run_case(
    workspace: "Workspace", pipeline: str, case: "Case", free: asyncio.Semaphore
) -> CaseResult:
    from ..runtime.request import Request

    async with free:
        try:
            result = await workspace.run(pipeline, Request(case.input, options=case.options))
        except (SettingsError, MissingKey):
            raise  # every other case would fail in the same way
        except FleetError as error:
            return CaseResult(pipeline, case.id, case.task or pipeline, (str(error),), None)
    missed = tuple(case.expect.find_misses(result.output))
    return CaseResult(pipeline, case.id, case.task or pipeline, missed, result.cost_nano_usd)


def _sum_up(marked: Sequence[CaseResult]) -> list[Accuracy]:
    found: dict[tuple[str, str], Accuracy] = {}
    for one in marked:
        task = found.setdefault((one.pipeline, one.task), Accuracy(one.pipeline, one.task))
        task.cases += 1
        task.good += not one.missed
        costs = (task.cost_nano_usd, one.cost_nano_usd)
        task.cost_nano_usd = None if None in costs else sum(cost or 0 for cost in costs)
    return list(found.values())


def _print(marked: Sequence[CaseResult]) -> None:
    for one in marked:
        if one.missed:
            print(printable(f"{one.pipeline} {one.id}: {'; '.join(one.missed)}"))
    heads = ["pipeline", "task", "cases", "good", "accuracy", "cost"]
    rows = [
        [t.pipeline, t.task, t.cases, t.good, f"{t.good / t.cases:.1%}", dollars(t.cost_nano_usd)]
        for t in _sum_up(marked)
    ]
    print(table(heads, rows) if rows else "No case has replies to play.")
