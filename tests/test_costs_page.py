"""The cost page: its numbers are the query's, a hostile name stays text, a reader finds its way."""

import importlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.costs_ledger import company
from tests.ledger_package import importable, module

VOID = {"meta"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("costs") / "w"
    with importable(folder, "page_desk", extras=["cost_reports"]) as name:
        yield name


@dataclass
class Node:
    name: str
    attributes: dict[str, str | None]
    children: list["Node"] = field(default_factory=list["Node"])
    text: str = ""

    def all(self, name: str) -> Iterator["Node"]:
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def words(self) -> str:
        return self.text + "".join(child.words() for child in self.children)


class Tree(HTMLParser):
    """A tree of elements; every tag has to be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Node("", {})
        self._open = [self.root]
        self.feed(text)
        assert self._open == [self.root], "a tag is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data


def question(package: str, path: Path) -> Any:
    """About the rows alone: a fleet without a chain, and no prices."""
    fleet = importlib.import_module(f"{package}.runtime.fleet").Fleet(chains={})
    return module(package, "findings").Question(path, fleet, module(package, "prices").Prices({}))


def page_of(package: str, path: Path, days: int = 7) -> str:
    findings = module(package, "findings")
    report, asked = (
        module(package, "report_text").Report(path, ("task_type", "request_model"), days),
        question(package, path),
    )
    page = module(package, "page")
    searches = importlib.import_module(f"{package}.wiring").FINDINGS
    return page.html(report, findings.find(asked, searches), "This month: $1")


@pytest.fixture(scope="module")
def path(package: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return company(module(package, "store"), tmp_path_factory.mktemp("company") / "l.sqlite3")


@pytest.fixture(scope="module")
def text(package: str, path: Path) -> str:
    return page_of(package, path)


def chromium() -> str:
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


def browse(page: Path, *flags: str) -> str:
    """Return what headless Chromium prints about a page, offline and without a profile."""
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    quiet += " --disable-background-networking --disable-component-update --disable-sync"
    profile = f"--user-data-dir={page.parent / 'profile'}"
    words = [chromium(), *quiet.split(), profile, *flags, page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(360, 1), (1200, 1), (1200, 0)])
def test_a_browser_shows_the_querys_numbers(
    package: str, path: Path, text: str, tmp_path: Path, width: int, dark: int
) -> None:
    page = tmp_path / "costs.html"
    probe = (
        "<script>document.title=JSON.stringify({wide:document.documentElement.scrollWidth,"
        "shown:innerWidth,paper:getComputedStyle(document.body).backgroundColor,"
        "nano:[...document.querySelectorAll('#heat ~ .scroll tbody .warm data')]"
        ".map(one=>[one.value,one.textContent])})</script>"
    )
    page.write_text(text.replace("</body>", f"{probe}</body>"), "utf-8")
    flags = (f"--window-size={width},2000", f"--blink-settings=preferredColorScheme={dark}")
    dom = browse(page, *flags, "--dump-dom")
    measured = json.loads(next(Tree(dom).root.all("title")).words())
    queries = module(package, "queries")
    rows = queries.sums(path, ("task_type", "request_model"), queries.today() - 6)
    expected = [
        [str(row.cost_nano_usd) if row.priced else "", module(package, "report_text").money(row)]
        for row in rows
    ]
    assert sorted(measured["nano"]) == sorted(expected)
    assert measured["wide"] <= measured["shown"], "the page scrolls sideways"
    assert measured["paper"] == ("rgb(247, 246, 243)" if dark else "rgb(22, 21, 20)")
    picture = tmp_path / "costs.png"
    browse(page, *flags, f"--screenshot={picture}")
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 20_000
