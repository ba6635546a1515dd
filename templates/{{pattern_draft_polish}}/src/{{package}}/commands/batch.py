"""`batch`: run a pipeline on every line of a file."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration import ledger_location, load_prices
from ..runtime import fleet
from ..runtime.errors import FleetError
from ..runtime.text import printable

if TYPE_CHECKING:
    from ..runtime.batches import Item, Results
    from ..workspace import BuildModel, Workspace

HELP = "run a pipeline on every line of a JSON Lines file; go on where it was stopped"
SHOWN_FAILURES = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `batch`."""
    parser.add_argument("pipeline", help="such as draft_polish")
    parser.add_argument("input", type=Path, help='JSON Lines: {"id": ..., "text": ...}')
    parser.add_argument("--out", type=Path, required=True, help="JSON Lines of results, appended")
    parser.add_argument("--concurrency", type=_read_count, default=8, help="at once (default: 8)")


def run(options: argparse.Namespace) -> int:
    """Run a batch; exit status 1 when a request failed: the same command tries it again."""
    return run_batch(options.pipeline, options.input, options.out, options.concurrency)


def run_batch(
    pipeline: str,
    source: Path,
    out: Path,
    concurrency: int,
    *,
    build: "BuildModel | None" = None,
) -> int:
    """Run a batch, with `build` in place of the providers if it is given."""
    from ..runtime.batches import Results, read_items

    items = read_items(source)
    results = Results(out)
    waiting = results.missing(items)
    if done := len(items) - len(waiting):
        print(f"{done} of {len(items)} are done already.")
    with results:
        failures = asyncio.run(_run_items(pipeline, waiting, results, concurrency, build))
    print(f"{len(items) - len(failures)} of {len(items)} done, results in {out}.")
    for id_, error in list(failures.items())[:SHOWN_FAILURES]:
        print(printable(f"{id_} failed: {error}"), file=sys.stderr)
    if failures:
        print(f"{len(failures)} failed: the same command tries them again.", file=sys.stderr)
    if pipeline == "draft_polish" and results.lines:
        _print_drafts(results)
    return 1 if failures else 0


async def _run_items(
    pipeline: str,
    waiting: "list[tuple[str, Item]]",
    results: "Results",
    concurrency: int,
    build: "BuildModel | None",
) -> dict[str, FleetError]:
    from ..runtime.batches import work_off
    from ..workspace import Workspace

    failures: dict[str, FleetError] = {}
    progress = Progress(len(waiting))

    async with Workspace.open(build=build) as workspace:

        async def do(id_: str, item: "Item") -> None:
            results.add(await _run_item(workspace, pipeline, id_, item, results.path.name))
            progress.step()

        def note_failure(id_: str, error: FleetError) -> None:
            failures[id_] = error
            progress.step(failed=True)

        try:
            await work_off(waiting, concurrency, do, note_failure)
        finally:
            progress.end()
    return failures


async def _run_item(
    workspace: "Workspace", pipeline: str, id_: str, item: "Item", batch: str
) -> dict[str, object]:
    from pydantic_core import to_jsonable_python

    from ..runtime.request import Request

    tags = {"batch": batch}
    request = Request(item.text, user_ref=item.user_ref, tags=tags, options=item.options)
    answer = await workspace.run(pipeline, request)
    return {
        "id": id_,
        "digest": item.digest(),
        "status": answer.status,
        "output": to_jsonable_python(answer.output),
        "run_id": answer.run_id,
        "cost_nano_usd": answer.cost_nano_usd,
    }


class Progress:
    """A bar on the error stream if that is a terminal; nothing otherwise."""

    WIDTH = 30

    def __init__(self, total: int) -> None:
        """Begin with none of `total` done."""
        self.total = total
        self.done = 0
        self.failed = 0
        self._shown = sys.stderr.isatty() and total > 0
        self._started = time.monotonic()
        self._drawn = 0.0

    def step(self, *, failed: bool = False) -> None:
        """Count one request as done and draw the bar."""
        self.done += 1
        self.failed += failed
        now = time.monotonic()
        if self._shown and (now - self._drawn > 0.1 or self.done == self.total):
            self._drawn = now
            print(f"\r{self.line(now - self._started)}\x1b[K", end="", file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """Return the bar after so many seconds."""
        full = self.WIDTH * self.done // self.total
        left = seconds / self.done * (self.total - self.done)
        bar = "#" * full + "." * (self.WIDTH - full)
        failed = f", {self.failed} failed" if self.failed else ""
        return f"[{bar}] {self.done}/{self.total}{failed}, {left:.0f} s left"

    def end(self) -> None:
        """End the line of the bar."""
        if self._shown and self.done:
            print(file=sys.stderr)


def _print_drafts(results: "Results") -> None:
    from .. import wiring
    from ..runtime.ledger.baseline import compare
    from ..runtime.savings import drafts_text

    root, lines = fleet.find_root(), list(results.lines.values())
    done = [line for line in lines if line["output"]]
    settings = fleet.load(root / "fleet.toml")
    comparison = compare(settings, load_prices(root, settings), wiring.BASELINES)
    run_ids = [line["run_id"] for line in lines]
    saving = comparison and comparison.of_runs(ledger_location(root), run_ids)
    if done:
        print(drafts_text(done, saving))


def _read_count(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= 1000):
        raise argparse.ArgumentTypeError("from 1 to 1000")
    return int(text)
