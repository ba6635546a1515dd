"""Rewrites a draft by what the scorer found wrong with it."""

from ..runtime.run import SubAgent

POLISH = SubAgent("polish", str)
