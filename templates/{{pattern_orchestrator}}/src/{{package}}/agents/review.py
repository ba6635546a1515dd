"""Checks the result of one sub-task before others build on it."""

from pydantic import BaseModel

from ..runtime.subagent import SubAgent


class Review(BaseModel):
    """Whether a result does what its sub-task asked, and why."""

    ok: bool
    reason: str


REVIEW = SubAgent("review", Review)
