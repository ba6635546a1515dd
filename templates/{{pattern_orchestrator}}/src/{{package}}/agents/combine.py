"""Makes one answer of the results of the sub-tasks."""

from ..runtime.subagent import SubAgent

COMBINE = SubAgent("combine", str)
