"""What draft-polish saved against asking the expensive model for everything.

Always-expensive is each draft's own tokens at the price of the first model of the polish chain:
the same task read and a text of the same length written, once. The expensive model's own count
of tokens and length of text may differ; prices are those the ledger books with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_ai.usage import RequestUsage

from .fleet import ModelRef
from .ledger.prices import Prices


@dataclass(frozen=True, slots=True)
class Saving:
    """Counts and nano-dollars of some results. None: a price or a token count is not known."""

    results: int
    unpolished: int
    below_threshold: int
    cost_nano_usd: int | None
    expensive_nano_usd: int | None
    expensive_model: str

    @property
    def share(self) -> float | None:
        """What was saved, of the always-expensive cost; below 0 when it was dearer."""
        if self.cost_nano_usd is None or not self.expensive_nano_usd:
            return None
        return 1 - self.cost_nano_usd / self.expensive_nano_usd


def saving(lines: Iterable[Mapping[str, Any]], prices: Prices, expensive: ModelRef) -> Saving:
    """The saving over the lines of a results file."""
    found = list(lines)
    outputs = [line["output"] for line in found]
    return Saving(
        results=len(found),
        unpolished=sum(output["shipped"] == "draft" for output in outputs),
        below_threshold=sum(output["passed"] is False for output in outputs),
        cost_nano_usd=_sum(line["cost_nano_usd"] for line in found),
        expensive_nano_usd=_sum(_expensive(output, prices, expensive) for output in outputs),
        expensive_model=str(expensive),
    )


def _expensive(output: Mapping[str, Any], prices: Prices, expensive: ModelRef) -> int | None:
    read, written = output["draft_input_tokens"], output["draft_output_tokens"]
    if read is None or written is None:
        return None
    usage = RequestUsage(input_tokens=read, output_tokens=written)
    return prices.cost(expensive, usage).nano_usd


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
