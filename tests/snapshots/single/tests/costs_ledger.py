"""Ledgers for tests of the reports: groups of like attempts, so many days ago, and `costs` on them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk import cli
from desk.runtime.fleet import ModelRef
from desk.runtime.ledger.attempt import DAY_US, Attempt, new_id
from desk.runtime.ledger.location import connect
from desk.runtime.ledger.prices import UNPRICED, Cost, Prices
from desk.runtime.ledger.queries import today

FLEET = """
[chains.main]
models = ["anthropic:claude-opus-5-5", "openai:gpt-6-luna"]
"""
DEAR, CHEAP, OTHER = "claude-opus-5-5", "gpt-6-luna", "claude-haiku-5-5"
PROVIDERS = {DEAR: "anthropic", CHEAP: "openai", OTHER: "anthropic"}


def attempts(count: int, *, days_ago: int = 1, **values: Any) -> list[Attempt]:
    """Return like attempts at noon of one day; a `model` stands for its provider too."""
    model = values.pop("model", DEAR)
    noon = (today() - days_ago) * DAY_US + DAY_US // 2
    usual: dict[str, Any] = {
        "latency_ms": 120,
        "run_id": "run",
        "provider": PROVIDERS.get(model, "own"),
        "request_model": model,
        "task_type": "classification",
        "stage": "classify",
        "chain": "main",
        "attempt": 1,
        "outcome": "ok",
        "input_tokens": 1000,
        "output_tokens": 200,
        "cost_nano_usd": 130_000,
        "cost_source": "list",
    }
    usual |= values
    return [Attempt(**{"ts_us": noon + at, "call_id": new_id(), **usual}) for at in range(count)]


def write(path: Path, *groups: Sequence[Attempt]) -> Path:
    """Write a ledger of these attempts."""
    database = connect(path)
    try:
        database.write([attempt for group in groups for attempt in group])
    finally:
        database.close()
    return path


class TokenPrices(Prices):
    """Prices of tests, in US dollars per million input and output tokens; a batch is half of it."""

    def __init__(self, usd: Mapping[str, tuple[str, str]]) -> None:
        super().__init__({})
        self._usd = usd

    def cost(self, ref: ModelRef, usage: Any, *, context: Any = None, **_: Any) -> Cost:
        if str(ref) not in self._usd:
            return UNPRICED
        read, written = map(Decimal, self._usd[str(ref)])
        total = read * (usage.input_tokens or 0) + written * (usage.output_tokens or 0)
        return Cost.of(total / (2 * 10**6 if context else 10**6), "override", "tests")


class Costs:
    """Runs `costs` in a workspace of its own, on a ledger at `path` which is not there yet."""

    def __init__(
        self, path: Path, patch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
    ) -> None:
        self.path, self._patch, self._output = path, patch, output
        (path.parent / "fleet.toml").write_text(FLEET)
        patch.setenv("FLEET_ROOT", str(path.parent))
        patch.setenv("FLEET_LEDGER_URL", f"sqlite:///{path}")

    def __call__(self, *words: str) -> tuple[Any, str]:
        """Return the exit status of `costs` or its advice, and what it printed."""
        self._patch.setattr("sys.argv", ["desk", "costs", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = self._output.readouterr()
        return ended.value.code, printed.out + printed.err
