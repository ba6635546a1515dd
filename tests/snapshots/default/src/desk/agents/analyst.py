"""One of the team's own sub-agents: its prompt is a file, its chain is in fleet.toml."""

from ..runtime.subagent import SubAgent

AGENT = SubAgent("analyst", str)
