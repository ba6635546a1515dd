"""The webhook that gets new tickets: once, without the question, holding up nobody."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from tests.escalations import Desk, desk
from tests.examples import first_quick

__all__ = ["desk"]


class Hook(ThreadingHTTPServer):
    """A webhook that fails so many times first, and answers nobody while it is not free."""

    failures = 0
    got: list[dict[str, Any]]
    free: threading.Event


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hook.free.wait(10)
        hook.failures -= 1
        self.send_response(500 if hook.failures >= 0 else 200)
        self.end_headers()
        if hook.failures < 0:
            hook.got.append(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test says what went wrong."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook(("127.0.0.1", 0), _Receiver) as running:
        running.got, running.free = [], threading.Event()
        running.free.set()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
        yield running
        running.shutdown()
        thread.join(10)


@pytest.mark.parametrize("failures", first_quick([1, 0]))
def test_a_webhook_is_told_once_without_the_question(desk: Desk, hook: Hook, failures: int) -> None:
    hook.failures = failures
    ticket = desk.handle("A secret question?").ticket
    assert len(hook.got) == 1
    assert ticket[-8:] in hook.got[0]["text"]
    assert "secret" not in json.dumps(hook.got)
    assert desk.tickets()[0].told_us


@pytest.mark.slow
def test_many_tickets_are_one_message(desk: Desk, hook: Hook) -> None:
    run = desk.module("runtime.run")

    async def outage() -> None:
        async with desk.start() as workspace:
            asked = [workspace.run("answer", run.Request(f"Question {n}?")) for n in range(30)]
            await asyncio.gather(*asked)

    asyncio.run(outage())
    assert len(hook.got) <= 2
    assert all(ticket.told_us for ticket in desk.tickets())


def test_a_webhook_that_hangs_never_holds_a_request_up(desk: Desk, hook: Hook) -> None:
    run = desk.module("runtime.run")
    hook.free.clear()

    async def ask() -> Any:
        async with desk.start() as workspace:
            answer = await workspace.run("answer", run.Request("How many vans?"))
            assert hook.got == [], "answered before the webhook was"
            hook.free.set()
            return answer

    assert asyncio.run(ask()).status == "escalated"
    assert len(hook.got) == 1


@pytest.mark.slow
def test_a_webhook_that_is_down_is_told_by_the_next_process(
    desk: Desk, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        down.setenv("FLEET_ESCALATION_WEBHOOK", "http://127.0.0.1:9/")
        first = desk.handle("How many vans?").ticket
    assert desk.tickets()[0].told_us is None
    second = desk.handle("How many ships?").ticket
    assert first[-8:] in hook.got[0]["text"]
    assert second[-8:] in hook.got[0]["text"]
    assert all(ticket.told_us for ticket in desk.tickets())


@pytest.mark.slow
def test_a_webhook_that_never_answers_does_not_hold_up_the_end(
    desk: Desk, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []

    class Client(httpx2.AsyncClient):
        async def __aexit__(self, kind: Any = None, *about: Any) -> None:
            ended.append(kind)
            await super().__aexit__(kind, *about)

    monkeypatch.setattr(httpx2, "AsyncClient", Client)
    hook.free.clear()
    assert desk.handle("How many vans?").status == "escalated"
    hook.free.set()
    assert ended == [asyncio.CancelledError], "and not an answer, or its own ten seconds"


@pytest.mark.slow
@pytest.mark.parametrize("reply", [b"no HTTP at all\r\n\r\n", b""])
def test_a_webhook_that_is_none_costs_no_answer(
    desk: Desk, reply: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def serve(listening: socket.socket) -> None:
        for _ in range(2):  # at once, and a second later
            with listening.accept()[0] as taken:
                taken.recv(65536)
                taken.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        listening.settimeout(20)
        pool.submit(serve, listening)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/services/T0/SECRET"
        monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
        assert desk.handle("How many vans?").status == "escalated"
    assert "did not take a notification" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("url", ["hooks.example/T0/SECRET", "http://127.0.0.1:9/T0/SEC RET\n"])
def test_the_address_of_a_webhook_is_not_logged(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FLEET_ESCALATION_WEBHOOK", url)
    assert desk.handle("How many vans?").status == "escalated"
    assert "did not take a notification" in caplog.text
    assert "T0" not in caplog.text
