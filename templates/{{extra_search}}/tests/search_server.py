"""A search API on this machine, for tests: it answers each request with what a test sets."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """The last request: `sent` is its query or its JSON body."""

    method: str
    path: str
    headers: dict[str, str]
    sent: dict[str, Any]


class Server(ThreadingHTTPServer):
    """Answers each request alike; `wait_s` before, `drip_s` between pieces of the answer."""

    status = 200
    body = b"{}"
    wait_s = drip_s = 0.0
    packed = "identity"
    asked: Asked
    daemon_threads = True

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def reply(self, body: object) -> None:
        """Answer with this as JSON."""
        self.body = json.dumps(body).encode()


class Handler(BaseHTTPRequestHandler):
    """Remembers a request and answers it."""

    def do_GET(self) -> None:
        """Answer a request whose parameters are in its URL."""
        self._answer(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:
        """Answer a request whose parameters are in its body."""
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, sent: dict[str, Any]) -> None:
        server = self.server
        assert isinstance(server, Server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.asked = Asked(self.command, urlsplit(self.path).path, headers, sent)
        time.sleep(server.wait_s)
        self.send_response(server.status)
        self.send_header("Retry-After", "7")
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Encoding", server.packed)
        self.end_headers()
        try:
            for _ in range(50 if server.drip_s else 0):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(server.drip_s)
            self.wfile.write(server.body)
        except OSError:
            return  # the client has hung up

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the test reports what went wrong."""


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server until the block ends."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)
