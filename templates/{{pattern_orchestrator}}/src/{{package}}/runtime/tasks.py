"""The results of sub-tasks, and the answer that they make together."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import to_json

from .untrusted import delimit


class TaskResult(BaseModel):
    """The result of one sub-task. Only the output of a "done" one is used."""

    id: str
    agent: str
    instruction: str
    status: Literal["done", "rejected", "failed", "skipped"]
    output: Any = None
    reason: str = ""


class OrchestratorReport(BaseModel):
    """The typed result. "degraded": the answer lacks what `missing` names."""

    task: str
    status: Literal["complete", "degraded", "failed"]
    answer: str
    missing: list[str]
    replans: int
    results: list[TaskResult]

    def __str__(self) -> str:
        return self.answer


def show_results(results: Sequence[TaskResult]) -> str:
    """Write results as a model reads them."""
    return "\n\n".join(
        f"Result of {result.id}:\n{delimit(write_output(result.output), 'result')}"
        for result in results
    )


def write_output(output: Any) -> str:
    """Return a sub-agent's output as text; a typed one as JSON."""
    return output if isinstance(output, str) else to_json(output).decode()
