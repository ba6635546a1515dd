"""Record the attempts of one call: the rows that the ledger gets, with what each used and cost."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from .call_budget import CallBudget
from .call_request import NO_RESPONSE, CallRequest
from .completion import read_usage
from .fleet import ModelRef
from .ledger.attempt import Attempt
from .ledger.prices import other_units
from .run import PASSED, CheckResult
from .shared import Shared


@dataclass
class CallRecord:
    """The rows and completions of one call, by attempt."""

    request: CallRequest
    shared: Shared
    budget: CallBudget
    rows: list[Attempt] = field(default_factory=list[Attempt])
    completions: dict[int, ModelResponse] = field(default_factory=dict[int, ModelResponse])
    _unjudged: Attempt | None = None
    """The row of a completion that is being examined: "aborted", if nothing follows."""
    _written: int = 0
    """How many rows the ledger has."""
    _judged: list[Attempt] = field(default_factory=list[Attempt])
    """Rows that the ledger has, but not how they ended."""

    def add(
        self,
        ref: ModelRef,
        outcome: str,
        result: CheckResult = PASSED,
        *,
        response: ModelResponse | None = None,
        started: float | None = None,
        ttft_ms: int | None = None,
        to_judge: bool = False,
    ) -> None:
        """Add an attempt's row, or say how the one ended that was `to_judge` before it."""
        if self._unjudged:
            self._judge(self._unjudged, outcome, result)
            return
        seconds = time.perf_counter() - started if started else 0
        row = Attempt(
            ts_us=time.time_ns() // 1000,
            latency_ms=round(seconds * 1000),
            ttft_ms=ttft_ms,
            call_id=self.request.id,
            chain=self.request.chain,
            attempt=len(self.rows) + 1,
            outcome=outcome,
            error_type=result.reason,
            quality=result.quality,
            quality_source=result.source,
            **self._models(ref, response),
            **self._cost(ref, outcome, response, seconds if started else None),
            **self.request.stage.labels,
        )
        self.rows.append(row)
        self._unjudged = row if to_judge else None
        self.request.stage.run.attempts.append(row)
        self.shared.spending.add(row)
        self.budget.release(row.cost_nano_usd)
        if response:
            self.completions[row.attempt] = response

    async def flush(self) -> None:
        """Return once all that was added so far is in the ledger. Raises LedgerError."""
        rows, judged = self.rows[self._written :], self._judged
        # What is handed over is written, even if whoever waits for it is cancelled.
        self._written, self._judged = len(self.rows), list[Attempt]()
        if rows or judged:
            save = self.shared.texts
            texts = save(self.request, rows, self.completions) if rows and save else ()
            await self.shared.ledger.write(rows, texts, judged)

    def _judge(self, row: Attempt, outcome: str, result: CheckResult) -> None:
        self._unjudged = None
        row.outcome, row.error_type = outcome, result.reason
        row.quality, row.quality_source = result.quality, result.source
        if row.attempt <= self._written and outcome != "aborted":
            self._judged.append(row)

    def _models(self, ref: ModelRef, response: ModelResponse | None) -> dict[str, Any]:
        """Return the columns that say who was asked and who answered."""
        before = self.rows[-1].request_model if self.rows else ref.model
        return {
            "provider": ref.provider,
            "deployment": ref.deployment,
            "request_model": ref.model,
            "response_model": response.model_name if response else None,
            "provider_request_id": response.provider_response_id if response else None,
            "fallback_from": before if before != ref.model else None,
        }

    def _cost(
        self,
        ref: ModelRef,
        outcome: str,
        response: ModelResponse | None,
        seconds: float | None,
    ) -> dict[str, Any]:
        """Return the columns of what was used; `seconds` is None where nothing was sent."""
        answer, usage = response or NO_RESPONSE, read_usage(response)
        context = self.shared.prices.context(answer, self.request.settings if response else None)
        broken_off = response is None or response.state not in ("complete", "suspended")
        estimate = broken_off and (outcome == "aborted" or (outcome == "failed" and answer.parts))
        if seconds is not None and usage is None and estimate:  # its provider bills it all the same
            usage = self.request.usage_so_far(answer)
        is_answered = response is not None or usage is not None
        cost = self.shared.prices.cost(
            ref,
            usage,
            context=context,
            seconds=seconds if is_answered else None,
            served=answer.model_name,
        )
        return {
            "service_tier": self.shared.prices.tier(context),
            "cost_nano_usd": cost.nano_usd,
            "cost_source": "estimated" if estimate and cost.nano_usd is not None else cost.source,
            "price_version": cost.version,
            **(_count_columns(usage) if usage else {}),
        }


def _count_columns(usage: RequestUsage) -> dict[str, Any]:
    """Return the columns of a completion's usage."""
    others, reasoning = other_units(usage), usage.output_reasoning_tokens
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "reasoning_output_tokens": reasoning or usage.details.get("reasoning_tokens"),
        "other_units": json.dumps(others, sort_keys=True) if others else None,
    }
