"""The pipes to an MCP server's process: what it writes is data from outside, and so is its spelling."""

import codecs
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp.client.transports import StdioTransport
from fastmcp.client.transports.base import TransportOptions
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from .text import drop_half_characters

MOST_LINE = 10_000_000
_ENCODING = "fleet_mcp"
_ID = re.compile(rb'"id"\s*:\s*(\d+|"[^"]*")')


class Pipes(StdioTransport):
    """A process with which lines of JSON are exchanged; it ends with the session.

    The SDK drops a line that is not sound UTF-8 or holds half a character, and whoever asked waits
    for it until the end.
    """

    @asynccontextmanager
    async def connect_session(
        self, *, transport_options: TransportOptions | None = None, **session_kwargs: Any
    ) -> AsyncGenerator[ClientSession]:
        """Yield a session that is not initialized yet, as every transport does."""
        process = StdioServerParameters(
            command=self.command, args=self.args, env=self.env, encoding=_ENCODING
        )
        options = transport_options or TransportOptions()
        async with (
            stdio_client(process) as (read, write),
            options.session_class(read, write, **session_kwargs) as session,
        ):
            yield session


class _Lines(codecs.IncrementalDecoder):
    """Gives whole lines only, none too long, and mends what JSON may not hold."""

    def __init__(self, errors: str = "strict") -> None:
        super().__init__(errors)
        self._begun = bytearray()
        self._skipped = b""

    def decode(self, input: Any, final: bool = False) -> str:
        """Return the lines that are complete; an error in place of one that is too long."""
        lines, newline, rest = bytes(input).rpartition(b"\n")
        whole = b""
        if newline or final:
            whole, self._begun = self._end_line() + lines + newline, bytearray()
        self._begun += rest
        if len(self._begun) > MOST_LINE:
            self._skipped = self._skipped or bytes(self._begun[:200])
            self._begun.clear()
        return drop_half_characters(whole).decode(errors="replace")

    def _end_line(self) -> bytes:
        """Return the line that was begun, or an error in place of one that was too long."""
        if not self._skipped:
            return bytes(self._begun)
        asked, self._skipped = _ID.search(self._skipped), b""
        error = b'"error":{"code":-32000,"message":"The result is too long: ask for less."}'
        # The rest of the long line is not JSON, and the SDK drops it.
        return b'{"jsonrpc":"2.0","id":%b,%b}\n' % (asked[1] if asked else b"0", error)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _ENCODING:
        return None
    utf8 = codecs.lookup("utf-8")
    return codecs.CodecInfo(utf8.encode, utf8.decode, incrementaldecoder=_Lines, name=name)


codecs.register(_find_codec)  # the SDK accepts an encoding by its name only
