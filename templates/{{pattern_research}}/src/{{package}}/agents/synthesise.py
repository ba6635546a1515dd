"""Answers the question from numbered claims, and from nothing else."""

from pydantic import BaseModel

from ..runtime.subagent import SubAgent


class Statement(BaseModel):
    """One sentence or short paragraph of the answer, and the numbers of its claims."""

    text: str
    claims: list[int]


class Synthesis(BaseModel):
    """The answer in order, and what the claims leave open."""

    statements: list[Statement]
    unanswered: list[str] = []


SYNTHESISE = SubAgent("synthesise", Synthesis)
