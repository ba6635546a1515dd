"""Writes the first version, cheaply."""

from ..runtime.run import SubAgent

DRAFT = SubAgent("draft", str)
