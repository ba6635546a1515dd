"""Bytes from outside as text that a model can read: encodings, and HTML without its furniture."""

import codecs
import re
from html.parser import HTMLParser

_SKIPPED = re.compile(
    "script|style|noscript|template|svg|nav|header|footer|aside|form|button|iframe"
)
_VOID = re.compile("br|hr")
_BLOCK = re.compile(
    "address|article|blockquote|dd|div|dl|dt|figure|figcaption|h[1-6]|li|main|ol|p|pre|section"
    "|table|td|th|tr|ul"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)


def decode(data: bytes, declared: str | None = None) -> str:
    """Text of any bytes: by its mark, what is declared, UTF-8, else Windows-1252. Never raises.

    A declared encoding that does not fit is passed over: servers get it wrong often.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    meta = _DECLARED.search(data[:2048])
    for name in (marked, declared, meta and meta[1].decode("ascii"), "utf-8"):
        try:
            if name:
                return data.decode(name)
        except (LookupError, UnicodeError):
            continue
    return data.decode("cp1252", "replace")


def of_html(html: str) -> tuple[str, str]:
    """The title and the readable text of a page: a line per block, no scripts, no menus."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return " ".join("".join(reader.title).split()), text


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._skipping: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = "hidden" in given or given.get("aria-hidden") == "true"
        if self._skipping:
            # Only the same tag is counted: pages leave others open.
            self._skipping += [tag] if tag == self._skipping[0] else []
        elif _SKIPPED.fullmatch(tag) or (hidden and _BLOCK.fullmatch(tag)):
            self._skipping = [tag]
        elif tag == "title":
            self._in_title = not self.title
        elif _BLOCK.fullmatch(tag) or _VOID.fullmatch(tag):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._skipping and tag == self._skipping[0]:
            self._skipping.pop()
        elif tag == "title":
            self._in_title = False
        elif _BLOCK.fullmatch(tag) and not self._skipping:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._skipping:
            self.parts.append(data)
