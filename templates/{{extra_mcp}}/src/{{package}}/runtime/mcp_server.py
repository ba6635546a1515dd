"""One MCP server that many asks share: started once, again when it has died, never past a deadline."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.toolsets import FunctionToolset, ToolsetTool, WrapperToolset

from .errors import ToolsFailed
from .run import current

if TYPE_CHECKING:
    from pydantic_ai.mcp import MCPToolset

log = logging.getLogger(__name__)
PING_S = 5


@dataclass
class SharedServer(WrapperToolset[Any]):
    """The tools of a server. An ask enters and leaves it; the process stays until `stop`.

    `connect` makes its client, in a thread: to import that takes seconds.
    """

    name: str = field(kw_only=True)
    connect: "Callable[[], MCPToolset[Any]]" = field(kw_only=True)
    wrapped: Any = field(default_factory=FunctionToolset[Any])
    _started: "asyncio.Task[Any] | None" = field(default=None, init=False)
    _pinged: "asyncio.Task[bool] | None" = field(default=None, init=False)
    _stopping: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def __aenter__(self) -> Self:
        """Start the server, or start it again if it has died."""
        started = self._started
        if started and started.done() and not await self._is_alive():
            await self.stop(started)
        await self._start()
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        """Leave the server running for others."""
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """List the tools, as pydantic-ai asks for them."""
        await self._start()
        try:
            return await self._in_time(super().get_tools(ctx))
        except ToolsFailed:
            raise
        except Exception as error:
            raise self._failure("gave no list of its tools", error) from error

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
            if self._pinged:
                self._pinged.cancel()
                self._pinged = None
            if not self._has_failed(task):
                try:
                    await self.wrapped.__aexit__(None, None, None)
                except Exception as error:  # the process may have ended by itself
                    log.warning("MCP server %s: %s: %s", self.name, type(error).__name__, error)

    async def _start(self) -> None:
        """Start the server, or wait until another task has, up to the deadline."""
        if self._started is None or (self._started.done() and self._has_failed(self._started)):
            self._started = asyncio.create_task(self._enter())
        try:
            # A caller that gives up waiting must not cancel the start for the others.
            await self._in_time(asyncio.shield(self._started))
        except ToolsFailed:
            raise
        except Exception as error:
            raise self._failure("could not be started", error) from error

    def _failure(self, what: str, error: Exception) -> ToolsFailed:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return ToolsFailed(
            f"MCP server '{self.name}' {what} ({reason}): try by hand what [mcp.{self.name}] of"
            " fleet.toml starts."
        )

    async def _enter(self) -> None:
        server = await asyncio.to_thread(self.connect)
        await server.__aenter__()
        self.wrapped = server

    @staticmethod
    def _has_failed(started: "asyncio.Task[Any]") -> bool:
        return started.cancelled() or started.exception() is not None

    async def _in_time(self, work: Any) -> Any:
        """Await `work` up to the request's deadline.

        Raises:
            ToolsFailed: The deadline has passed.
        """
        stage = current.get()
        deadline = stage.run.deadline if stage else math.inf
        left = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise ToolsFailed(
                f"MCP server '{self.name}' did not answer by the request's deadline"
            ) from None

    async def _is_alive(self) -> bool:
        """Whether the server answers.

        Raises:
            ToolsFailed: The deadline has passed before that is known.
        """
        # A call with little time left must not declare a slow server dead: the ping goes on.
        pinged = self._pinged = self._pinged or asyncio.create_task(self._ping())
        alive = await self._in_time(asyncio.shield(pinged))
        if self._pinged is pinged:
            self._pinged = None
        return alive

    async def _ping(self) -> bool:
        from mcp.shared.exceptions import MCPError  # the client has imported it already
        from mcp.types import METHOD_NOT_FOUND

        try:
            async with asyncio.timeout(PING_S):
                await self.wrapped.client.ping()
        except MCPError as error:
            return error.error.code == METHOD_NOT_FOUND
        except Exception:
            return False
        return True
