"""Each search API against a loopback server that speaks its documented format."""

import asyncio
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import harness

KEYS = {"tavily": "TAVILY_API_KEY", "brave": "BRAVE_API_KEY", "exa": "EXA_API_KEY"}
BODIES: dict[str, Any] = {
    # docs.tavily.com/documentation/api-reference/endpoint/search
    "tavily": {
        "query": "q",
        "answer": None,
        "images": [],
        "results": [
            {"title": "One", "url": "https://one.example", "content": "…", "score": 0.9}
            | {"raw_content": "All of one."},
            {"title": "Two", "url": "https://two.example", "content": "…", "raw_content": None},
        ],
        "response_time": 1.2,
    },
    # api-dashboard.search.brave.com/app/documentation/web-search
    "brave": {
        "type": "search",
        "query": {"original": "q"},
        "web": {
            "type": "search",
            "results": [
                {"title": "One", "url": "https://one.example", "description": "…"},
                {"title": "Two", "url": "https://two.example", "description": "…"},
            ],
        },
    },
    # exa.ai/docs/reference/search
    "exa": {
        "requestId": "1",
        "results": [
            {"id": "1", "title": "One", "url": "https://one.example", "text": "All of one."},
            {"id": "2", "title": None, "url": "https://two.example", "text": ""},
        ],
        "costDollars": {"total": 0.005},
    },
    # docs.searxng.org/dev/search_api.html
    "searxng": {
        "query": "q",
        "number_of_results": 0,
        "results": [
            {"title": "One", "url": "https://one.example", "content": "…", "engine": "x"},
            {"title": "Two", "url": "https://two.example", "content": "…", "engine": "x"},
        ],
        "unresponsive_engines": [["y", "timeout"]],
    },
}
EMPTY: dict[str, Any] = {
    "tavily": {"results": []},
    "brave": {"type": "search", "query": {"original": "q"}},
    "exa": {"results": []},
    "searxng": {"results": [], "unresponsive_engines": []},
}
NAMES = [feature.name for feature in harness.CATALOGUE.of("search") if not feature.offline]


class Server(ThreadingHTTPServer):
    """Answers with one body and remembers the last request."""

    status = 200
    body: Any = None
    asked: dict[str, Any]
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, given: Any) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked = {
            "method": self.command,
            "path": urlsplit(self.path).path,
            "given": given,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        body = json.dumps(server.body).encode()
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test tells what went wrong."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A rendered workspace with every search, importable."""
    name = "every_search"
    everyone = [feature.name for feature in harness.CATALOGUE.of("search")]
    answers = {**harness.BARE, "search": everyone, "package": name}
    folder: Path = harness.rendered(tmp_path_factory.mktemp("searches") / "w", answers)
    sys.path.insert(0, str(folder / "src"))
    yield name
    sys.path.remove(str(folder / "src"))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    for variable in KEYS.values():
        monkeypatch.setenv(variable, "k3y")
    monkeypatch.setenv("SEARXNG_URL", f"http://127.0.0.1:{server.server_port}/")


def search(package: str, name: str, server: Server) -> list[Any]:
    module = importlib.import_module(f"{package}.runtime.searches.{name}")
    fleet = importlib.import_module(f"{package}.runtime.fleet")
    table = {name: {"base_url": f"http://127.0.0.1:{server.server_port}"}} if name in KEYS else {}
    settings = fleet.Fleet.model_validate({"chains": {}, **table})
    return asyncio.run(module.search('What is "it"?', 2, settings))


@pytest.mark.parametrize("name", NAMES)
def test_results_are_read(package: str, name: str, server: Server) -> None:
    server.body = BODIES[name]
    found = search(package, name, server)
    assert [one.url for one in found] == ["https://one.example", "https://two.example"]
    assert found[0].title == "One"
    has_text = name in ("tavily", "exa")
    assert [one.text for one in found] == (["All of one.", None] if has_text else [None, None])


@pytest.mark.parametrize("name", NAMES)
def test_no_results_are_no_error(package: str, name: str, server: Server) -> None:
    server.body = EMPTY[name]
    assert search(package, name, server) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_api_that_is_down_is_one_line(package: str, name: str, server: Server) -> None:
    failed = importlib.import_module(f"{package}.runtime.searches.search").SearchFailed
    server.status, server.body = 503, {}
    with pytest.raises(failed, match="answered with status 503"):
        search(package, name, server)


def test_requests_are_as_documented(package: str, server: Server) -> None:
    asked: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        server.body = BODIES[name]
        search(package, name, server)
        asked[name] = server.asked
    seen = {name: (one["method"], one["path"]) for name, one in asked.items()}
    assert seen == {
        "tavily": ("POST", "/search"),
        "brave": ("GET", "/web/search"),
        "exa": ("POST", "/search"),
        "searxng": ("GET", "/search"),
    }
    assert asked["tavily"]["headers"]["authorization"] == "Bearer k3y"
    assert asked["brave"]["headers"]["x-subscription-token"] == "k3y"
    assert asked["exa"]["headers"]["x-api-key"] == "k3y"
    assert asked["tavily"]["given"]["max_results"] == 2
    assert asked["exa"]["given"] == {
        "query": 'What is "it"?',
        "numResults": 2,
        "contents": {"text": True},
    }
    assert asked["brave"]["given"]["q"] == ['What is "it"?']
    assert asked["searxng"]["given"] == {"q": ['What is "it"?'], "format": ["json"]}
