"""Marks a draft, criterion by criterion. The criteria are those of fleet.toml."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..runtime.subagent import SubAgent


class Mark(BaseModel):
    """One criterion: what speaks for and against the draft, then its mark."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=600)
    score: float = Field(ge=0, le=1)


@cache
def make_scorer(criteria: tuple[tuple[str, str], ...]) -> SubAgent[BaseModel]:
    """Return the scorer for these (name, meaning) pairs; its answer has one Mark for each."""
    fields: dict[str, Any] = {
        name: (Mark, Field(description=meaning)) for name, meaning in criteria
    }
    score = create_model("Score", __config__=ConfigDict(extra="forbid"), **fields)
    return SubAgent("score", score)


def read_marks(score: BaseModel) -> dict[str, Mark]:
    """Return the marks by criterion."""
    return {name: getattr(score, name) for name in type(score).model_fields}
