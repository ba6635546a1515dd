"""Rewrites a draft by what the scorer found wrong with it."""

from ..runtime.subagent import SubAgent

POLISH = SubAgent("polish", str)
