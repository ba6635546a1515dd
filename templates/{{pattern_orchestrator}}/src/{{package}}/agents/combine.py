"""Makes one answer of the results of the sub-tasks."""

from ..runtime.run import SubAgent

COMBINE = SubAgent("combine", str)
