"""Turns a question into what one types into a search box."""

from pydantic import BaseModel, Field

from ..runtime.subagent import SubAgent


class Queries(BaseModel):
    """Search queries, the most promising first."""

    queries: list[str] = Field(min_length=1)


QUERY = SubAgent("query", Queries)
