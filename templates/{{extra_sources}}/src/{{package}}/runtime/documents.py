"""A document as text: text, Markdown and HTML here, other formats by a module of `converters/`.

Whatever needs a parser is read in a child process (`apart.py`).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from .apart import Child, Unreadable
from .converters import CONVERTERS
from .errors import FleetError
from .readable import decode, is_html, is_text, of_html
from .text import sanitize

log = logging.getLogger(__name__)
MAX_BYTES = 50_000_000
_HTML = ("html", "htm", "xhtml")
_FORMATS = {
    b"%PDF-": ("a PDF", ("pdf",)),
    b"PK\x03\x04": ("an Office or zip file", ("docx", "xlsx", "pptx", "odt", "epub", "zip")),
    b"\xd0\xcf\x11\xe0": ("an old or encrypted Office file", ("doc", "docx", "xls", "ppt", "msg")),
}


class DocumentError(FleetError):
    """A document that cannot be read: names the file, what is wrong and the way out."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is not blank; `notes` say which parts of the document it lacks."""

    text: str
    notes: tuple[str, ...] = ()


def read(path: Path) -> str:
    """The text of a document, after a line for what it lacks. Raises DocumentError."""
    with Child() as child:
        document = load(path, child)
    notes = [f"[{path.name}: {note}]\n\n" for note in document.notes]
    return "".join([*notes, document.text])


def load(path: Path, child: Child) -> Document:
    """A document, converted by the child where that takes a parser. Raises DocumentError."""
    size = _size(path)
    if size > MAX_BYTES:
        raise DocumentError(
            f"{path.name} has {size / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:.0f}: split it."
        )
    data = _bytes(path)
    if _needs_parser(path, data):
        document = _converted(path, child)
    else:
        document = Document(decoded(data, path.name))
    if not document.text.strip():
        is_page = _suffix(path) in _HTML
        way = "save it from a browser" if is_page else "a scan has to go through OCR first"
        raise DocumentError(f"{path.name} holds no text; {way}.")
    for note in document.notes:
        log.warning("%s: %s", path.name, note)
    return document


def convert(path: Path) -> Document:
    """The text of a file that takes a parser; called in the child. Raises what parsers raise."""
    suffix = _suffix(path)
    if suffix not in CONVERTERS:
        return Document(of_html(_sound(decode(path.read_bytes()), path.name))[1])
    found: str | Document = CONVERTERS[suffix]()(path)
    return Document(found) if isinstance(found, str) else found


def readers() -> list[str]:
    """The suffixes that converters read."""
    return sorted(CONVERTERS)


def decoded(data: bytes, name: str) -> str:
    """Bytes that should be text. Raises DocumentError when they are something else."""
    for magic, (what, _) in _FORMATS.items():
        if data.startswith(magic):
            raise DocumentError(
                f"{name} is {what}, not text: run `scaffold add extra documents` and keep its "
                ".pdf or .docx suffix, or save it as text."
            )
    return sanitize(_sound(decode(data), name))


def _sound(text: str, name: str) -> str:
    if not is_text(text):
        raise DocumentError(f"{name} is binary or in an unknown encoding: save it as UTF-8 text.")
    return text


def _converted(path: Path, child: Child) -> Document:
    try:
        reply = child.document(path)
    except Unreadable as error:
        raise DocumentError(f"{path.name} could not be read: it {error}.") from None
    if "refused" in reply:
        raise DocumentError(reply["refused"])
    return Document(sanitize(reply["text"]), tuple(map(sanitize, reply["notes"])))


def _needs_parser(path: Path, data: bytes) -> bool:
    """Whether a parser is needed. Raises DocumentError where name and content disagree."""
    suffix = _suffix(path)
    if suffix not in CONVERTERS and suffix not in _HTML:
        return is_html(data)
    for magic, (what, suffixes) in _FORMATS.items():
        if data.startswith(magic) and suffix not in suffixes:
            raise DocumentError(f"{path.name} is {what}: give it the suffix .{suffixes[0]}.")
    return bool(data.strip())


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise DocumentError(f"{path} cannot be read: {told}.") from None
    if not path.is_file():
        raise DocumentError(f"{path} cannot be read: it is not a file.")
    return size


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}.") from None
