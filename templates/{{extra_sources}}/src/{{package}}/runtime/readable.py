"""Bytes from outside as text that a model can read: encodings, and HTML without its furniture."""

import codecs
import importlib
import re
from collections.abc import Mapping
from typing import Any

from .text import sanitize

etree: Any = importlib.import_module("lxml.etree")  # it has no types

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)
# What the web uses. Others that Python knows are no encodings of pages, and some take quadratic
# time (punycode) or run escapes (unicode_escape).
_SINGLE = re.compile("ascii|iso8859-[0-9]+|latin[0-9]*|cp[0-9]{3,4}|koi8-[rut]|mac-[a-z]+|tis-620")
_DOUBLE = re.compile(
    "utf-(8|16|16-le|16-be)|gbk|gb2312|gb18030|big5|big5hkscs|hz|euc_(jp|kr)|shift_jis(x0213)?"
    "|cp(932|949|950)|iso2022_(jp|kr)"
)
_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\ufffd]")
_FEW_ODD, _MOST_ODD = 3, 0.01
"""The number and the share of control and unreadable characters that a text may have."""

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
"""What a table's cell that lays out a page holds, and a cell of data does not."""
_DEEPEST_LIST = 6


def decode(data: bytes, declared: str | None = None) -> str:
    """Text of any bytes: by its mark, what is declared, UTF-8, else Windows-1252. Never raises.

    A declared encoding that does not fit is passed over: servers get it wrong often.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    meta = _DECLARED.search(data[:2048])
    names = (declared, meta and meta[1].decode("ascii"))
    for name in (marked, *(_encoding(name, data) for name in names if name), "utf-8"):
        try:
            if name:
                return data.decode(name)
        except UnicodeError:
            continue
    return data.decode("cp1252", "replace")


def _encoding(declared: str, data: bytes) -> str | None:
    """The encoding that is meant by a declared one, if it is one of texts and can be true."""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return None
    if name in ("ascii", "iso8859-1"):
        name = "cp1252"  # as browsers read them
    if _SINGLE.fullmatch(name):
        return None if _is_utf8(data) else name
    if name.startswith("utf-16"):
        return None if b"\0" not in data and _is_utf8(data) else name
    return name if _DOUBLE.fullmatch(name) else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_text(text: str) -> bool:
    """Whether decoded bytes read as a text does: some control characters at most."""
    return "\0" not in text and len(_ODD.findall(text)) <= _FEW_ODD + _MOST_ODD * len(text)


def is_html(data: bytes) -> bool:
    """Whether bytes begin as a whole page does."""
    return (
        decode(data[:200]).lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html"))
    )


def of_html(html: str) -> tuple[str, str]:
    """The title and the readable text of a page, as Markdown: headings, lists, tables.

    Menus and what is hidden are left out, unless nothing else is there: some pages stand as a
    whole in an element that is meant for them.
    """
    title, text = _parsed(html, _SCRIPTS | _FURNITURE, hidden=False)
    if len(text) < 200:
        whole = _parsed(html, _SCRIPTS, hidden=not text)[1]
        text = whole if len(whole) > 10 * len(text) else text
    return title, text or _parsed(html, _CODE, hidden=True)[1]


def _parsed(html: str, skipped: frozenset[str], *, hidden: bool) -> tuple[str, str]:
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

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
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
        if self._in_title:
            self.title.append(text)
        elif not self._skipping:
            self._words.append(text)

    def comment(self, text: str) -> None:
        """Leave it out."""

    def close(self) -> None:
        self._end_row()
        self._end_line()

    def text(self) -> str:
        return "\n".join(self._lines).strip()

    def _is_hidden(self, tag: str, attributes: Mapping[str, str]) -> bool:
        if self._shows_hidden:
            return False
        if tag == "header":  # a site's banner; an article's has its headline
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
