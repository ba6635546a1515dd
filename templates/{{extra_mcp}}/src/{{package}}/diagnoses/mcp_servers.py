"""MCP servers that a sub-agent could not use."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..runtime.errors import SettingsError
from ..runtime.fleet import Fleet
from ..runtime.mcp import McpServers


def diagnose(root: Path, fleet: Fleet) -> Iterator[SettingsError]:
    """Yield servers whose command is not installed or whose variables are not set."""
    del root
    for name, server in fleet.section("mcp", McpServers).root.items():
        if server.command and not shutil.which(server.command[0]):
            problem = f"mcp.{name}: command '{server.command[0]}' was not found"
            yield SettingsError(problem, "install it, or name another")
        for variable in (*server.env, server.token_env):
            if variable and not os.environ.get(variable):
                problem = f"mcp.{name}: {variable} is not set"
                yield SettingsError(problem, "set it, or take it out of fleet.toml")
