"""Writes the first version, cheaply."""

from ..runtime.subagent import SubAgent

DRAFT = SubAgent("draft", str)
