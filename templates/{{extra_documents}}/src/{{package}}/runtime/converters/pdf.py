"""PDF to text, page by page."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pypdf import PageObject, PdfReader

from ..document import Document, DocumentError

_FEW_WORDS = 5
"""A picture with fewer words beside it is a scan with a stamp, or a page number."""


def convert(path: Path) -> Document:
    """Return the text layer; a page is a paragraph.

    Raises:
        DocumentError: The file is encrypted, or no page of it can be read.
    """
    reader = PdfReader(path)
    # Many files are encrypted only against changes, and open with no password.
    if reader.is_encrypted and not _opens(reader):
        raise DocumentError(f"{path.name} is encrypted", "save it without its password")
    texts: list[str] = []
    empty: list[int] = []
    broken: list[int] = []
    for number, page in enumerate(reader.pages, 1):
        try:
            text = page.extract_text()
            empty += [number] if _is_empty(page, text) else []
        except MemoryError:
            raise
        except Exception:  # pypdf raises anything; other pages may still be read
            text = ""
            broken.append(number)
        texts.append(text)
    if len(broken) == len(texts):
        raise DocumentError(f"{path.name} could not be read: none of its pages can be parsed")
    return Document("\n\n".join(texts), tuple(_notes(empty, broken, len(texts))))


def _opens(reader: PdfReader) -> bool:
    with suppress(Exception):  # pypdf raises anything where cryptography is missing
        return bool(reader.decrypt(""))
    return False


def _is_empty(page: PageObject, text: str) -> bool:
    words = len(text.split())
    return not words or (words < _FEW_WORDS and _has_picture(page))


def _has_picture(page: PageObject) -> bool:
    with suppress(Exception):  # a broken file may have anything in place of its resources
        resources: Any = page["/Resources"]
        parts: Any = resources["/XObject"].get_object()
        return any(part.get_object().get("/Subtype") == "/Image" for part in parts.values())
    return False


def _notes(empty: Sequence[int], broken: Sequence[int], pages: int) -> Iterator[str]:
    if empty and len(empty) < pages:
        has = "has" if len(empty) == 1 else "have"
        yield f"{_list_pages(empty)} of {pages} {has} no text: scanned?"
    if broken:
        yield f"{_list_pages(broken)} of {pages} could not be read"


def _list_pages(numbers: Sequence[int]) -> str:
    """Numbers as `pages 2 to 5 and 9, with a dash`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    word = "page" if len(numbers) == 1 else "pages"
    listed = ("\u2013".join(map(str, span)) for span in spans)
    return f"{word} {', '.join(listed)}"
