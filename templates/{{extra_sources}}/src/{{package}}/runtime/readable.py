"""HTML as Markdown that a model can read: headings, lists and tables, without menus and scripts."""

import importlib
from collections.abc import Mapping
from typing import Any

from .text import sanitize

etree: Any = importlib.import_module("lxml.etree")  # it has no types

_SCRIPTS = frozenset(("script", "style", "noscript", "template", "svg", "iframe", "object"))
_CODE = frozenset(("script", "style"))
_FURNITURE = frozenset(("nav", "footer", "aside", "button", "select", "datalist", "dialog"))
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "div", "dl", "fieldset", "figcaption"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main"),
        *("nav", "ol", "p", "pre", "section", "summary", "table", "ul"),
    )
)
_CONTENT = frozenset(("article", "main", "section"))
_LINES = frozenset(("br", "caption", "dd", "dt", "li", "option", "tr"))
_BREAKING = frozenset(("table", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
"""A table cell that holds one of these lays out a page; a cell of data does not."""
_DEEPEST_LIST = 6


def html_to_markdown(html: str) -> tuple[str, str]:
    """Return the title and the readable text of a page, as Markdown.

    Menus and hidden parts are left out, unless nothing else is there: some pages put everything
    into an element that is meant for menus.
    """
    title, text = _parse(html, _SCRIPTS | _FURNITURE, hidden=False)
    if len(text) < 200:
        whole = _parse(html, _SCRIPTS, hidden=not text)[1]
        text = whole if len(whole) > 10 * len(text) else text
    return title, text or _parse(html, _CODE, hidden=True)[1]


def _parse(html: str, skipped: frozenset[str], *, hidden: bool) -> tuple[str, str]:
    page = _Page(skipped, hidden=hidden)
    parser = etree.HTMLParser(target=page, huge_tree=True)
    parser.feed(sanitize(html) or " ")
    parser.close()
    return " ".join("".join(page.title).split()), page.text()


class _Page:
    """Builds Markdown from a parser's events, which are balanced: every start has its end."""

    def __init__(self, skipped: frozenset[str], *, hidden: bool) -> None:
        self.title: list[str] = []
        self._skipped, self._shows_hidden = skipped, hidden
        self._skipping = self._in_content = 0
        self._in_title = self._pre = False
        self._lines: list[str] = []
        self._words: list[str] = []
        self._prefix = ""
        self._gap = False
        self._lists: list[int | None] = []
        self._cells: list[str] | None = None
        self._rows = 0

    # lxml calls these five.
    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin an element."""
        if self._skipping or tag in self._skipped or self._is_hidden(tag, attributes):
            self._skipping += 1
        elif tag in _CONTENT:
            self._in_content += 1
            self._start_block(tag)
        elif tag == "title":
            self._in_title = not self.title
        elif tag in ("td", "th"):
            self._end_line()
        elif tag in _BLOCKS or tag in _LINES:
            self._start_block(tag)

    def end(self, tag: str) -> None:
        """End an element."""
        if self._skipping:
            self._skipping -= 1
        elif tag in _CONTENT:
            self._in_content -= 1
            self._end_block(tag)
        elif tag == "title":
            self._in_title = False
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _BLOCKS or tag in _LINES:
            self._end_block(tag)

    def data(self, text: str) -> None:
        """Add text."""
        if self._in_title:
            self.title.append(text)
        elif not self._skipping:
            self._words.append(text)

    def comment(self, text: str) -> None:
        """Leave a comment out."""

    def close(self) -> None:
        """End the page."""
        self._end_row()
        self._end_line()

    def text(self) -> str:
        """Return the Markdown."""
        return "\n".join(self._lines).strip()

    def _is_hidden(self, tag: str, attributes: Mapping[str, str]) -> bool:
        if self._shows_hidden:
            return False
        if tag == "header":  # the banner of a site; in an article it holds the headline
            return not self._in_content and "nav" in self._skipped
        return "hidden" in attributes or attributes.get("aria-hidden") == "true"

    def _start_block(self, tag: str) -> None:
        if tag in _BREAKING and self._cells is not None:
            self._end_row(layout=True)
        self._end_line(gap=tag in _BLOCKS and not self._lists)
        if tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._prefix = self._mark()
        elif tag == "tr":
            self._cells = []
        elif tag == "table":
            self._rows = 0
        elif tag[0] == "h" and tag[1:].isdigit():
            self._prefix = "#" * int(tag[1:]) + " "
        self._pre = self._pre or tag == "pre"

    def _end_block(self, tag: str) -> None:
        if tag == "tr":
            self._end_row()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        self._end_line(gap=tag in _BLOCKS and not self._lists)
        self._pre = self._pre and tag != "pre"
        self._prefix = ""

    def _mark(self) -> str:
        number = self._lists[-1] if self._lists else None
        indent = "  " * min(len(self._lists) - 1, _DEEPEST_LIST)
        if number is None:
            return f"{indent}* "
        self._lists[-1] = number + 1
        return f"{indent}{number + 1}. "

    def _end_cell(self) -> None:
        text = " ".join("".join(self._words).split())
        if self._cells is None:
            self._end_line()
        else:
            self._words = []
            self._cells.append(text)

    def _end_row(self, *, layout: bool = False) -> None:
        cells, self._cells = self._cells, None
        filled = [cell for cell in cells or () if cell]
        if layout or len(cells or ()) < 2:
            for cell in filled:
                self._add(cell)
        elif cells and filled:
            self._add(f"| {' | '.join(cells)} |")
            if not self._rows:
                self._add(f"|{' --- |' * len(cells)}")
            self._rows += 1

    def _end_line(self, *, gap: bool = False) -> None:
        if self._cells is not None:
            self._words.append(" ")
            return
        text, self._words = "".join(self._words), []
        for line in text.strip("\n").split("\n") if self._pre else (" ".join(text.split()),):
            if line.strip():
                self._add(self._prefix + line.rstrip())
                self._prefix = ""
        self._gap = self._gap or gap

    def _add(self, line: str) -> None:
        if self._gap and self._lines:
            self._lines.append("")
        self._gap = False
        self._lines.append(line)
