"""Files to text, by what they are: as text, as HTML, or by one of `converters/`."""

from pathlib import Path

from .converters import CONVERTERS
from .decoding import decode, is_html, is_text
from .document import Document, DocumentError
from .readable import html_to_markdown
from .text import sanitize

_HTML = ("html", "htm", "xhtml")
_FORMATS = {
    b"%PDF-": ("a PDF", ("pdf",)),
    b"PK\x03\x04": ("an Office or zip file", ("docx", "xlsx", "pptx", "odt", "epub", "zip")),
    b"\xd0\xcf\x11\xe0": ("an old or encrypted Office file", ("doc", "docx", "xls", "ppt", "msg")),
}


def convert(path: Path) -> Document:
    """Return the text of a file that takes a parser. It runs in the child.

    Raises:
        Exception: Whatever the parser raises.
    """
    suffix = _suffix(path)
    if suffix not in CONVERTERS:
        return Document(html_to_markdown(_require_text(decode(path.read_bytes()), path.name))[1])
    found = CONVERTERS[suffix]()(path)
    return Document(found) if isinstance(found, str) else found


def decode_text(data: bytes, name: str) -> str:
    """Decode bytes that should be text.

    Raises:
        DocumentError: They are something else.
    """
    for magic, (what, _) in _FORMATS.items():
        if data.startswith(magic):
            raise DocumentError(
                f"{name} is {what}, not text",
                "run `scaffold add extra documents` and keep its .pdf or .docx suffix, or save it "
                "as text",
            )
    return sanitize(_require_text(decode(data), name))


def _require_text(text: str, name: str) -> str:
    if not is_text(text):
        raise DocumentError(f"{name} is binary or in an unknown encoding", "save it as UTF-8 text")
    return text


def needs_parser(path: Path, data: bytes) -> bool:
    """Whether a parser is needed.

    Raises:
        DocumentError: The name and the content disagree.
    """
    suffix = _suffix(path)
    if suffix not in CONVERTERS and suffix not in _HTML:
        return is_html(data)
    for magic, (what, suffixes) in _FORMATS.items():
        if data.startswith(magic) and suffix not in suffixes:
            raise DocumentError(f"{path.name} is {what}", f"give it the suffix .{suffixes[0]}")
    return bool(data.strip())


def is_page(path: Path) -> bool:
    """Whether a file's name says that it holds HTML."""
    return _suffix(path) in _HTML


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
