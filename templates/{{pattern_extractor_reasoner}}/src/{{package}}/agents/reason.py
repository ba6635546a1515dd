"""Answers a question from numbered facts alone; it never sees the document."""

from ..runtime.subagent import SubAgent

REASON = SubAgent("reason", str)
