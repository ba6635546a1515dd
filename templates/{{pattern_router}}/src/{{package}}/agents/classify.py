"""Reads a request before anybody answers it: what is it about, and how hard is it?"""

from pydantic import BaseModel, Field

from ..runtime.subagent import SubAgent


class Verdict(BaseModel):
    """The classifier's answer. `intent` names a sub-agent or pipeline, or is "answer"."""

    intent: str
    complexity: int = Field(ge=1, le=5)
    confidence: float = Field(ge=0, le=1)
    reason: str = Field(max_length=300)


CLASSIFY = SubAgent("classify", Verdict, human=False)
