"""Reads one result and writes down what it says about the question."""

from pydantic import BaseModel, Field

from ..runtime.subagent import SubAgent


class Claim(BaseModel):
    """One statement, and the passage of the source that says so, word for word."""

    text: str = Field(min_length=1)
    quote: str = Field(min_length=1)


class Claims(BaseModel):
    """What one source says about the question; empty if it says nothing."""

    claims: list[Claim]


CLAIM = SubAgent("claim", Claims)
