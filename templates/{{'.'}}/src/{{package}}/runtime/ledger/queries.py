"""Questions to the ledger, and its answers as a table in plain text."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from .prices import NANO

DEMO = "demo"
"""The `environment` of recorded runs: shown apart, never part of a budget."""

_BY_TASK = """
SELECT task_type, request_model,
       COUNT(DISTINCT call_id), COUNT(*), SUM(outcome IN ('failed', 'rejected')),
       SUM(input_tokens), SUM(output_tokens),
       SUM(cost_nano_usd), SUM(cost_source = 'unpriced'), CAST(AVG(latency_ms) AS INTEGER)
FROM attempts WHERE ts_us >= ? AND outcome != 'skipped' AND (environment = 'demo') = ?
GROUP BY task_type, request_model ORDER BY SUM(cost_nano_usd) DESC NULLS LAST, 1, 2
"""


@dataclass(frozen=True, slots=True)
class TaskCost:
    """What one task type cost on one model. Tokens and nano-dollars; None: not reported."""

    task_type: str
    model: str
    calls: int
    attempts: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    unpriced: int
    latency_ms: int


def by_task(path: Path, since_us: int = 0, *, demo: bool = False) -> list[TaskCost]:
    """Cost by task type and model since a moment (microseconds), the dearest first."""
    return [TaskCost(*row) for row in _select(path, _BY_TASK, (since_us, demo))]


def month_nano_usd(path: Path) -> int:
    """What the calendar month (UTC) has cost so far, recorded runs left out."""
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = (
        "SELECT COALESCE(SUM(cost_nano_usd), 0) FROM attempts WHERE ts_us >= ? AND environment != ?"
    )
    return _select(path, query, (int(first.timestamp() * 1_000_000), DEMO))[0][0]


def month_by_task(path: Path) -> dict[str, int]:
    """`month_nano_usd` by task type."""
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = (
        "SELECT task_type, SUM(cost_nano_usd) FROM attempts WHERE ts_us >= ? AND environment != ? "
        "AND cost_nano_usd > 0 GROUP BY task_type"
    )
    return dict(_select(path, query, (int(first.timestamp() * 1_000_000), DEMO)))


def attempts_of(path: Path, run_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The attempts of some runs in the order they were made."""
    marks = ", ".join("?" * len(run_ids))
    query = (
        "SELECT stage, chain, request_model, outcome, error_type, input_tokens, output_tokens, "
        f"cost_nano_usd FROM attempts WHERE run_id IN ({marks}) ORDER BY rowid"
    )
    return _select(path, query, tuple(run_ids))


def costs_table(rows: list[TaskCost]) -> str:
    """`by_task` for a terminal."""
    heads = ["task", "model", "calls", "attempts", "failed", "tokens in", "tokens out"]
    heads += ["cost", "unpriced", "ms"]
    cells = [[*astuple(row)[:7], dollars(row.cost_nano_usd), *astuple(row)[8:]] for row in rows]
    return table(heads, cells)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads; numbers and dollars to the right, `-` for None."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [
        all(cell[:1] in "$-0123456789" for cell in column) for column in zip(*cells, strict=True)
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right or [False] * len(heads), strict=True)
        ).rstrip()
        for line in [list(heads), ["-" * width for width in widths], *cells]
    )


def dollars(nano_usd: int | None) -> str:
    """US dollars that keep three significant digits: `$0.000042`, never `$0.00`."""
    if nano_usd is None:
        return "-"
    usd = Decimal(nano_usd) / NANO
    cents = max(2, 2 - usd.adjusted()) if usd else 2
    shown = f"{round(usd, cents):,f}"
    return "$" + (shown.rstrip("0") if cents > 2 else shown)


def _select(path: Path, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    if not path.is_file():
        raise LedgerError(f"There is no ledger at {path} yet: run `demo` or `ask` first.")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as database:
            return database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from None
