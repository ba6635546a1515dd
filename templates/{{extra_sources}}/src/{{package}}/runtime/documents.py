"""Documents as text. Whatever needs a parser is read in a child process (`reader_process.py`)."""

import logging
from pathlib import Path

from .conversion import decode_text, is_page, needs_parser
from .document import MAX_BYTES, Document, DocumentError
from .reader_process import Child, Unreadable
from .text import sanitize

log = logging.getLogger(__name__)


def read(path: Path) -> str:
    """Return the text of a document, after a line for each part that is missing.

    Raises:
        DocumentError: It cannot be read.
    """
    with Child() as child:
        document = load(path, child)
    notes = [f"[{path.name}: {note}]\n\n" for note in document.notes]
    return "".join([*notes, document.text])


def load(path: Path, child: Child) -> Document:
    """Return a document, converted by the child if that takes a parser.

    Raises:
        DocumentError: It cannot be read.
    """
    size = _measure(path)
    if size > MAX_BYTES:
        raise DocumentError(
            f"{path.name} has {size / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:.0f}", "split it"
        )
    data = _read_bytes(path)
    if needs_parser(path, data):
        document = _convert_in_child(path, child)
    else:
        document = Document(decode_text(data, path.name))
    if not document.text.strip():
        hint = "save it from a browser" if is_page(path) else "a scan has to go through OCR first"
        raise DocumentError(f"{path.name} holds no text", hint)
    for note in document.notes:
        log.warning("%s: %s", path.name, note)
    return document


def _convert_in_child(path: Path, child: Child) -> Document:
    try:
        reply = child.document(path)
    except Unreadable as error:
        raise DocumentError(f"{path.name} could not be read: it {error}") from None
    if "refused" in reply:
        raise DocumentError(reply["refused"])
    return Document(sanitize(reply["text"]), tuple(map(sanitize, reply["notes"])))


def _measure(path: Path) -> int:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{path} cannot be read: {reason}") from None
    if not path.is_file():
        raise DocumentError(f"{path} cannot be read: it is not a file")
    return size


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}") from None
