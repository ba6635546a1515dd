"""A rendered workspace's ledger, importable, and rows for it."""

import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import harness


@contextmanager
def importable(folder: Path, name: str, **answers: Any) -> Iterator[str]:
    """Render a small workspace whose package is `name`, on the path while this lasts."""
    harness.rendered(folder, {**harness.BARE, "package": name, **answers})
    sys.path.insert(0, str(folder / "src"))
    try:
        yield name
    finally:
        sys.path.remove(str(folder / "src"))


def module(package: str, name: str) -> Any:
    """`runtime.ledger.<name>` of a rendered package."""
    return importlib.import_module(f"{package}.runtime.ledger.{name}")


def row(store: Any, **given: Any) -> Any:
    """An attempt that answered; whatever a test cares about is given."""
    usual = {
        "ts_us": time.time_ns() // 1000,
        "latency_ms": 120,
        "call_id": store.new_id(),
        "run_id": "run",
        "provider": "openai",
        "request_model": "gpt-5-nano",
        "task_type": "classification",
        "stage": "classify",
        "chain": "cheap",
        "attempt": 1,
        "outcome": "ok",
        "input_tokens": 1000,
        "output_tokens": 200,
        "cost_nano_usd": 130_000,
        "cost_source": "list",
    }
    return store.Attempt(**{**usual, **given})
