"""MCP servers as tools: `[mcp.NAME]` says how one is reached, `mcp` of `[agents.X]` who may.

A server is started, or connected to, once for a workspace, when a sub-agent first needs it, and
ends with the workspace; asks at the same time share it. Its process gets only a minimal environment
and the variables that `env` names. What a tool returns is data from outside: give a sub-agent that
reads such data no tool that can do harm.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field, RootModel, model_validator

from .errors import SettingsError
from .fleet import Fleet
from .mcp_server import SharedServer
from .settings import Settings
from .subagent import SubAgent

if TYPE_CHECKING:
    from pydantic_ai.mcp import MCPToolset


class McpServer(Settings):
    """One server: a command to start, or a URL; its tools are called `NAME_tool`."""

    command: tuple[str, ...] = ()
    url: str | None = None
    env: tuple[str, ...] = ()
    token_env: str | None = None
    tools: tuple[str, ...] | None = None
    timeout_s: float = Field(default=30, gt=0)

    @model_validator(mode="after")
    def _has_one_address(self) -> "McpServer":
        if bool(self.command) == bool(self.url):
            raise ValueError("give either a command or a url")
        return self


class McpServers(RootModel[dict[str, McpServer]]):
    """The table `[mcp]` of fleet.toml."""


class Servers:
    """The servers of one workspace: each is started when first needed, and ends with it."""

    def __init__(self) -> None:
        """Start with no server running."""
        self._running: dict[str, SharedServer] = {}

    def __call__(self, agent: SubAgent[Any], names: Sequence[str], fleet: Fleet) -> SubAgent[Any]:
        """Return a sub-agent with the tools of the servers it may use.

        Raises:
            SettingsError: A server is not in fleet.toml, or one of its variables is not set.
        """
        servers = fleet.section("mcp", McpServers).root
        if unknown := [name for name in names if name not in servers]:
            raise SettingsError(
                f"fleet.toml: agents.{agent.name}.mcp: there is no [mcp.{unknown[0]}]", "add it"
            )
        toolsets = [self._make_toolset(name, servers[name]) for name in names]
        return replace(agent, toolsets=(*agent.toolsets, *toolsets))

    async def aclose(self) -> None:
        """End every server."""
        for server in self._running.values():
            await server.stop()

    def _make_toolset(self, name: str, server: McpServer) -> Any:
        if name not in self._running:
            token = _read_variable(name, server.token_env) if server.token_env else None
            named = {variable: _read_variable(name, variable) for variable in server.env}
            connect = partial(_connect, name, server, token, named)
            self._running[name] = SharedServer(name=name, connect=connect)
        running, allowed = self._running[name], server.tools
        if allowed is None:
            return running.prefixed(name)
        return running.filtered(lambda _, tool: tool.name in allowed).prefixed(name)


equip = Servers


def _connect(
    name: str, server: McpServer, token: str | None, named: dict[str, str]
) -> "MCPToolset[Any]":
    """Return the client of a server that is not started yet."""
    # Importing the client takes seconds, which only those who use a server should wait.
    from fastmcp.client.transports import StreamableHttpTransport
    from pydantic_ai.mcp import MCPToolset

    from .mcp_stdio import Pipes

    if server.url:
        transport = StreamableHttpTransport(server.url, auth=token)
    else:
        command, *arguments = server.command
        transport = Pipes(command, arguments, env=named or None, keep_alive=False)
    limit = server.timeout_s
    return MCPToolset(transport, id=name, init_timeout=limit, read_timeout=limit)


def _read_variable(name: str, variable: str) -> str:
    try:
        return os.environ[variable]
    except KeyError:
        raise SettingsError(
            f"[mcp.{name}] of fleet.toml needs {variable}", f"set {variable}"
        ) from None
