"""One MCP server that many asks share: started once, again when it has died, never past a deadline."""

import asyncio
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from mcp.shared.exceptions import MCPError
from mcp.types import METHOD_NOT_FOUND
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset

from .errors import ToolsFailed
from .run import current

if TYPE_CHECKING:
    from fastmcp.client.transports import ClientTransport

log = logging.getLogger(__name__)
PING_S = 5


def connect(name: str, transport: "ClientTransport", timeout_s: float) -> "SharedServer":
    """Return the tools of one server, which is not started yet."""
    server = MCPToolset[Any](transport, id=name, init_timeout=timeout_s, read_timeout=timeout_s)
    return SharedServer(server, server=server)


@dataclass
class SharedServer(WrapperToolset[Any]):
    """The tools of a server. An ask enters and leaves it; the process stays until `stop`."""

    server: MCPToolset[Any] = field(kw_only=True)
    _started: "asyncio.Task[Any] | None" = field(default=None, init=False)
    _stopping: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def __aenter__(self) -> Self:
        started = self._started
        if started and started.done() and not await self._is_alive():
            await self.stop(started)
        await self._start()
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        await self._start()
        return await self._in_time(super().get_tools(ctx))

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool; a server that dies at it is started again when the model asks again."""
        await self._start()
        started = self._started
        try:
            return await self._in_time(super().call_tool(name, tool_args, ctx, tool))
        except ToolsFailed:
            raise
        except Exception as error:
            if await self._is_alive():
                raise
            await self.stop(started)
            raise ModelRetry(
                f"The server of {name} ended before it answered ({error}). What it was asked to do"
                " may be done or not; the next call starts it again."
            ) from error

    async def stop(self, started: "asyncio.Task[Any] | None" = None) -> None:
        """End the server, unless somebody has started it again since `started`."""
        async with self._stopping:
            task = self._started
            if task is None or (started and task is not started):
                return
            task.cancel()
            await asyncio.wait([task])
            self._started = None
            if not task.cancelled() and not task.exception():
                try:
                    await self.server.__aexit__(None, None, None)
                except Exception as error:  # it is gone anyway
                    log.warning(
                        "MCP server %s: %s: %s", self.server.id, type(error).__name__, error
                    )

    async def _start(self) -> None:
        """Start it, or wait for whoever is starting it, as long as there is time."""
        if self._started is None or (self._started.done() and self._failed(self._started)):
            self._started = asyncio.create_task(self.server.__aenter__())
        # Whoever gives up waiting must not take the server from the others.
        await self._in_time(asyncio.shield(self._started))

    @staticmethod
    def _failed(started: "asyncio.Task[Any]") -> bool:
        return started.cancelled() or started.exception() is not None

    async def _in_time(self, work: Any) -> Any:
        """The result of `work` by the request's deadline. Raises ToolsFailed."""
        limit = asyncio.timeout(self._left())
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise ToolsFailed(
                f"MCP server '{self.server.id}' did not answer by the request's deadline."
            ) from None

    @staticmethod
    def _left() -> float | None:
        """Seconds that the request has left; None without a limit."""
        stage = current.get()
        deadline = stage.run.deadline if stage else math.inf
        return None if deadline == math.inf else max(0.0, deadline - time.monotonic())

    async def _is_alive(self) -> bool:
        try:
            async with asyncio.timeout(min(PING_S, self._left() or PING_S)):
                await self.server.client.ping()
        except MCPError as error:
            return error.error.code == METHOD_NOT_FOUND
        except Exception:
            return False
        return True
