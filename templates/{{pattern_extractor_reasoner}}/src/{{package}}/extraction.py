"""What is extracted from a document: edit it freely, the rest follows this file.

A kind of fact is a class here and a list of them in `Extraction`. Its first field is what the
fact is about: two facts with the same subject are one fact, and where their other fields differ
they contradict each other. The cheap model reads the names, types, docstrings and descriptions.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Fact(BaseModel):
    """Something the document says. A field too many or too few is sent back to the model."""

    model_config = ConfigDict(extra="forbid")

    quote: str = Field(description="The words of the document that say so, copied exactly")


class Entity(Fact):
    """A person, organisation, place or thing that matters to what is said."""

    name: str
    kind: Literal["person", "organisation", "place", "product", "other"]


class Date(Fact):
    """Something that has happened or will happen at a date or time."""

    event: str
    date: str = Field(description="YYYY-MM-DD where the document has it, else its own words")


class Decision(Fact):
    """Something that was decided, not merely proposed."""

    decision: str
    decided_by: str | None = None


class ActionItem(Fact):
    """Something that somebody is to do."""

    action: str
    owner: str | None = None
    due: str | None = None


class OpenQuestion(Fact):
    """A question that was raised and not answered."""

    question: str


class Extraction(BaseModel):
    """Everything of one part of a document; a kind that does not occur stays empty."""

    model_config = ConfigDict(extra="forbid")

    entities: list[Entity] = []
    dates: list[Date] = []
    decisions: list[Decision] = []
    action_items: list[ActionItem] = []
    open_questions: list[OpenQuestion] = []
