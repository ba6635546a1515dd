"""What became of a task that was shared out: its sub-tasks' results, and the answer of them all."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import to_json

from .untrusted import delimit


class TaskResult(BaseModel):
    """What became of one sub-task. Only the output of a "done" one is used."""

    id: str
    agent: str
    instruction: str
    status: Literal["done", "rejected", "failed", "skipped"]
    output: Any = None
    reason: str = ""


class Outcome(BaseModel):
    """The typed result. "degraded": the answer lacks what `missing` names."""

    task: str
    status: Literal["complete", "degraded", "failed"]
    answer: str
    missing: list[str]
    replans: int
    results: list[TaskResult]

    def __str__(self) -> str:
        return self.answer


def shown(results: Sequence[TaskResult]) -> str:
    """Results as a model reads them."""
    return "\n\n".join(
        f"Result of {result.id}:\n{delimit(text_of(result.output), 'result')}" for result in results
    )


def text_of(output: Any) -> str:
    """A sub-agent's output as text; a typed one as JSON."""
    return output if isinstance(output, str) else to_json(output).decode()
