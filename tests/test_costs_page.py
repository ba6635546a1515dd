"""The cost page: its numbers are the query's, a hostile name stays text, a reader finds its way."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.costs_ledger import attempts, company, write
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
    return page.html(report, findings.find(asked, searches), "This month: $1", asked)


@pytest.fixture(scope="module")
def path(package: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return company(module(package, "store"), tmp_path_factory.mktemp("company") / "l.sqlite3")


@pytest.fixture(scope="module")
def text(package: str, path: Path) -> str:
    return page_of(package, path)


def test_every_cell_of_the_heatmap_is_the_querys(package: str, path: Path, text: str) -> None:
    queries = module(package, "queries")
    rows = queries.sums(path, ("task_type", "request_model"), queries.today() - 6)
    heat = tables(text)[
        "Cost by task and model, with attempts and cost per success; warmer is dearer"
    ]
    models = [cell.words() for cell in heat.all("th") if cell.attributes.get("scope") == "col"][
        1:-1
    ]
    seen: dict[tuple[str, str], str | None] = {}
    for line in next(heat.all("tbody")).all("tr"):
        task = next(line.all("th")).words()
        for model, cell in zip(models, line.all("td"), strict=False):
            for amount in cell.all("data"):
                seen[task, model] = amount.attributes["value"]
    assert seen == {row.key: str(row.cost_nano_usd) if row.priced else "" for row in rows}


def test_weeks_add_up_to_the_query(package: str, path: Path, text: str) -> None:
    queries = module(package, "queries")
    weeks = tables(text)["Cost in weeks of seven days, the last one ending today"]
    weekly = sum(int(amount.attributes["value"] or 0) for amount in weeks.all("data"))
    all_ = queries.total(queries.sums(path, (), queries.today() + 1 - 84))
    assert weekly == all_.cost_nano_usd


def test_findings_and_what_is_unpriced_are_listed(package: str, path: Path, text: str) -> None:
    findings = module(package, "findings")
    searches = importlib.import_module(f"{package}.wiring").FINDINGS
    found = findings.find(question(package, path), searches)
    items = [item.words() for item in Tree(text).root.all("li")]
    assert len(items) == len(found) > 1
    for item, finding in zip(items, found, strict=True):
        assert finding.text in item and finding.action in item
    assert "own:own-tuned" in tables(text)["Models without a price"].words()


def tables(text: str) -> dict[str, Node]:
    return {next(one.all("caption")).words(): one for one in Tree(text).root.all("table")}


def test_what_does_not_work_is_urgent_and_has_no_price(package: str, tmp_path: Path) -> None:
    store = module(package, "store")
    lost = attempts(store, 8, outcome="failed", error_type="overloaded", cost_source="none")
    path = write(store, tmp_path / "l.sqlite3", lost)
    first = next(iter(Tree(page_of(package, path)).root.all("li"))).words()
    assert "urgent" in first and "ALL 8 ATTEMPTS FAILED." in first and "a month" not in first


def test_a_screen_reader_finds_its_way(text: str) -> None:
    root = Tree(text).root
    assert next(root.all("html")).attributes["lang"] == "en"
    assert len(list(root.all("h1"))) == len(list(root.all("main"))) == 1
    ids = [node.attributes["id"] for node in root.all("h2")]
    named = {node.attributes.get("aria-labelledby") for node in root.all("section")}
    assert set(ids) <= named
    for table in root.all("table"):
        assert next(table.all("caption")).words()
        assert all(cell.attributes.get("scope") for cell in table.all("th"))
    for region in root.all("div"):
        if region.attributes.get("class") == "scroll":
            assert region.attributes["tabindex"] == "0" and region.attributes["aria-label"]


def test_the_page_asks_nothing_of_the_network(text: str) -> None:
    assert not re.search(r"https?://|//\w|url\(|@import|<script|<link|<img|<iframe", text)


def test_calls_without_usage_are_beside_every_total(package: str, tmp_path: Path) -> None:
    store = module(package, "store")
    nothing: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    rows = attempts(store, 9, **nothing, cost_source="none") + attempts(store, 1)
    text = page_of(package, write(store, tmp_path / "l.sqlite3", rows))
    known = tables(text)
    assert "9" in known["Models without usage"].words()
    assert (
        known["Cost in weeks of seven days, the last one ending today"].words().count("lacks 9")
        == 1
    )
    heat = known[
        "Cost by task and model, with attempts and cost per success; warmer is dearer"
    ].words()
    assert heat.count("(lacks 9 without usage)") == 4  # the cell, its row, its column, the whole


def test_hostile_names_stay_text(package: str, tmp_path: Path) -> None:
    evil = "<script>alert('\"&')</script>"
    rows = attempts(
        module(package, "store"),
        40,
        model=evil,
        task_type=evil,
        provider=evil,
        cost_nano_usd=None,
        cost_source="unpriced",
    )
    text = page_of(package, write(module(package, "store"), tmp_path / "l.sqlite3", rows))
    assert "<script" not in text
    assert evil in next(Tree(text).root.all("tbody")).words()


def test_an_empty_ledger_has_a_page(package: str, tmp_path: Path) -> None:
    text = page_of(package, write(module(package, "store"), tmp_path / "l.sqlite3", []))
    assert "No calls in these 7 days." in text and "$0" not in text


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    if len(colour) == 4:
        colour = "#" + "".join(2 * digit for digit in colour[1:])
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        *(("ink", "paper"), ("ink", "card"), ("quiet", "paper"), ("quiet", "card")),
        *(
            ("accent", "card"),
            ("ink", "heat-color"),
            ("good", "good-paper"),
            ("maybe", "maybe-paper"),
        ),
    ],
)
def test_text_has_contrast(text: str, scheme: str, front: str, back: str) -> None:
    found = re.findall(r":root \{([^}]*)\}", text)
    colours = dict(
        re.findall(r"--([\w-]+): (#\w+)", found[["light", "dark", "print"].index(scheme)])
    )
    light, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


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
