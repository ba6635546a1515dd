"""The HTTP side: reads a request, asks its wire format what to say, and says it badly when asked to.

Bounded: a request is at most 16 MB, a hang ends after HANG_S, and the server stops by itself
after `seconds`. `POST /script`, `GET /seen` and `POST /forget` do for another process what the
attributes of `Server` do for this one.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.loopback.formats import FORMATS, Format
from tests.loopback.reply import COMMANDS, Reply

HANG_S = 20.0
LIMIT = 16 * 2**20


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. `at` is in seconds of time.monotonic()."""

    provider: str
    model: str
    streamed: bool
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float


@dataclass
class Server:
    """What to reply, and what was asked. Safe to use from the thread that started it."""

    port: int = 0
    script: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])
    seen: list[Seen] = field(default_factory=list[Seen])
    record: bool = True
    hits: dict[str, int] = field(default_factory=dict[str, int])
    under_way: dict[str, int] = field(default_factory=dict[str, int])
    most_at_once: dict[str, int] = field(default_factory=dict[str, int])
    """The most requests that were being answered at the same time, per model; under "" of all."""
    outlasted: list[str] = field(default_factory=list[str])
    """The models of requests that hung until this server ended them."""

    def url(self, provider: str) -> str:
        """Return the base URL for a provider's client."""
        return f"http://127.0.0.1:{self.port}/{provider}"

    def models(self) -> list[str]:
        """Return the models that were asked, in order."""
        return [one.model for one in self.seen]

    def forget(self) -> None:
        """Begin to count anew."""
        self.seen.clear()
        self.hits.clear()
        self.most_at_once.clear()
        self.outlasted = []  # what hangs still is not counted any more

    def reply_to(self, model: str) -> Reply:
        """Return the next scripted reply; the last one stays."""
        if waiting := self.script.get(model):
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return COMMANDS.get(model, COMMANDS["ok"])

    async def serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection until it is closed, by the client or as a fault."""
        try:
            # Cancelled only when the server ends.
            ends = (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError)
            with suppress(*ends, TimeoutError):
                while await self._serve_one(reader, writer):
                    await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        _, target, _ = head[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:-2])}
        length = int(headers.get("content-length", 0))
        if length > LIMIT:
            return False
        body = json.loads(await reader.readexactly(length) or b"{}")
        path = target.partition("?")[0]
        provider = path.split("/")[1]
        if provider not in FORMATS:
            _send(writer, 200, json.dumps(self._control(provider, body)))
            return True
        format_ = FORMATS[provider]
        model, streamed = format_.read_request(path, body)
        self.hits[model] = self.hits.get(model, 0) + 1
        if self.record:
            at = time.monotonic()
            self.seen.append(Seen(provider, model, streamed, target, headers, body, at))
        with self._count_under_way(model):
            reply = self.reply_to(model)
            await asyncio.sleep(reply.delay_s) if reply.delay_s else None
            outlasted = self.outlasted
            goes_on = await _answer(writer, format_, model, reply, body, streamed=streamed)
            if reply.fault == "hang":
                outlasted.append(model)
            return goes_on

    @contextmanager
    def _count_under_way(self, model: str) -> Iterator[None]:
        for name in (model, ""):
            self.under_way[name] = self.under_way.get(name, 0) + 1
            self.most_at_once[name] = max(self.most_at_once.get(name, 0), self.under_way[name])
        try:
            yield
        finally:
            for name in (model, ""):
                self.under_way[name] -= 1

    def _control(self, word: str, body: dict[str, Any]) -> object:
        if word == "script":
            self.script |= {
                name: [Reply(**one) for one in replies] for name, replies in body.items()
            }
        if word == "forget":
            self.forget()
        return {"hits": self.hits, "seen": [asdict(one) for one in self.seen]}


async def _answer(
    writer: asyncio.StreamWriter,
    format_: Format,
    model: str,
    reply: Reply,
    body: dict[str, Any],
    *,
    streamed: bool,
) -> bool:
    """Reply to one request. False closes the connection."""
    if reply.fault in ("cut", "hang") and reply.after is None:
        return await _strike(reply)
    if reply.status == 200 and streamed and reply.body is None:
        return await _stream(writer, format_, model, reply, body)
    if reply.body is not None:
        text, extra = reply.body, {}
    elif reply.status != 200 or reply.fault == "error":
        failure, extra = format_.error(reply.status if reply.status != 200 else 500)
        text = json.dumps(failure)
    else:
        completion = format_.completion(model, reply, body)
        text, extra = json.dumps(reply.edit(completion) if reply.edit else completion), {}
    return await _whole(writer, reply, text, extra)


async def _whole(
    writer: asyncio.StreamWriter, reply: Reply, text: str, extra: dict[str, str]
) -> bool:
    content = text.encode()
    if reply.after is not None and reply.fault in ("cut", "hang", "end"):
        half = content[: len(content) // 2]
        promised = len(half) if reply.fault == "end" else len(content)
        writer.write(_head(reply, reply.content_type, extra, f"Content-Length: {promised}") + half)
        await writer.drain()
        return await _strike(reply)
    writer.write(_head(reply, reply.content_type, extra, f"Content-Length: {len(content)}"))
    if not reply.pace_s:
        writer.write(content)
        return True
    step = max(1, len(content) // 40)
    for at in range(0, len(content), step):
        writer.write(content[at : at + step])
        await writer.drain()
        await asyncio.sleep(reply.pace_s)
    return True


async def _stream(
    writer: asyncio.StreamWriter, format_: Format, model: str, reply: Reply, body: dict[str, Any]
) -> bool:
    kind = reply.content_type or format_.STREAM_TYPE
    writer.write(_head(reply, kind, {}, "Transfer-Encoding: chunked"))
    for at, piece in enumerate(format_.tokens(model, reply, body)):
        if reply.fault and reply.after is not None and at >= reply.after:
            break
        writer.write(_chunk(_edit_events(piece, reply)))
        if reply.pace_s:
            await writer.drain()
            await asyncio.sleep(reply.pace_s)
    if reply.fault in ("cut", "hang"):
        await writer.drain()
        return await _strike(reply)
    if reply.fault == "error":
        writer.write(_chunk(format_.stream_error()))
    elif reply.fault is None:
        writer.write(_chunk(_edit_events(format_.ending(model, reply, body), reply)))
    writer.write(b"0\r\n\r\n")
    return True


async def _strike(reply: Reply) -> bool:
    if reply.fault == "hang":
        await asyncio.sleep(HANG_S)
    return reply.fault == "end"


def _head(reply: Reply, kind: str | None, extra: dict[str, str], length: str) -> bytes:
    headers = {"Content-Type": kind or "application/json", **extra, **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} .", *(f"{k}: {v}" for k, v in headers.items()), length]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    content = text.encode()
    writer.write(_head(Reply(status=status), None, {}, f"Content-Length: {len(content)}") + content)


def _edit_events(piece: bytes, reply: Reply) -> bytes:
    """Return the events of a stream as the reply wants them."""
    if not reply.edit:
        return piece
    sent: list[str] = []
    for event in piece.decode().split("\n\n")[:-1]:
        head, _, data = event.rpartition("data: ")
        changed = reply.edit(json.loads(data)) if data.startswith("{") else data
        if changed is not None:
            sent.append(f"{head}data: {changed if changed is data else json.dumps(changed)}\n\n")
    return "".join(sent).encode() or b": nothing\n\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


async def listen(server: Server, stop: asyncio.Event, ready: threading.Event | None = None) -> None:
    """Serve on a free port of 127.0.0.1, or `server.port`, until `stop`."""
    listener = await asyncio.start_server(
        server.serve_connection, "127.0.0.1", server.port, limit=LIMIT, backlog=1024
    )
    server.port = listener.sockets[0].getsockname()[1]
    if ready:
        ready.set()
    try:
        await stop.wait()
    finally:
        listener.close()  # and not `wait_closed`, which waits for clients since Python 3.12.1


@contextmanager
def serve(seconds: float = 300) -> Iterator[Server]:
    """Run a server in a thread of its own, for at most so many seconds."""
    server, ready, stop = Server(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def life() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(listen(server, stop, ready), seconds)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(life(),), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the loopback server did not start")
    try:
        yield server
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
