"""A document as text: text and Markdown here, other formats by a module of `converters/`.

A converter is a module called like the suffix it reads (`converters/pdf.py`), with
`convert(path: Path) -> str`; a new one is found by itself.
"""

import importlib
import logging
from pathlib import Path

from .errors import FleetError

log = logging.getLogger(__name__)
MAX_BYTES = 50_000_000
_CONVERTERS = Path(__file__).with_name("converters")
_FORMATS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "an Office or zip file",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office file",
}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"


class DocumentError(FleetError):
    """A document that cannot be read: names the file, what is wrong and the way out."""


def read(path: Path) -> str:
    """The text of a document, never blank. Raises DocumentError."""
    size = _size(path)
    if size > MAX_BYTES:
        raise DocumentError(
            f"{path.name} has {size / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:.0f}: split it."
        )
    suffix = path.suffix.lower().removeprefix(".")
    if suffix.isidentifier() and (_CONVERTERS / f"{suffix}.py").is_file():
        text = _converted(path, suffix)
    else:
        text = decoded(path.read_bytes(), path.name)
    if not text.strip():
        raise DocumentError(f"{path.name} holds no text; a scan has to go through OCR first.")
    return text


def decoded(data: bytes, name: str) -> str:
    """Bytes as text: UTF-8, UTF-16 or UTF-32 with a mark, else Windows-1252, which is said."""
    if what := next((known for magic, known in _FORMATS.items() if data.startswith(magic)), None):
        raise DocumentError(
            f"{name} is {what}, not text: run `scaffold add extra documents` and keep its "
            ".pdf or .docx suffix, or save it as text."
        )
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data, encoding, name)
    sample = data[:100_000]
    if b"\0" in data or len(sample.translate(None, _CONTROL)) < 0.99 * len(sample):
        raise DocumentError(f"{name} is binary, not text: convert it to text or Markdown.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = _strictly(data, "cp1252", name)
        log.warning("%s is not UTF-8 (byte %d): read as Windows-1252", name, error.start)
        return text


_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def _strictly(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise DocumentError(
            f"{name} is neither UTF-8, UTF-16 nor Windows-1252 text: save it as UTF-8."
        ) from None


def _converted(path: Path, suffix: str) -> str:
    module = importlib.import_module(f".converters.{suffix}", __package__)
    try:
        return module.convert(path)
    except DocumentError:
        raise
    except Exception as error:  # a broken file raises whatever its parser stumbles over
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise DocumentError(f"{path.name} is no sound .{suffix} file: {told}.") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}.") from None
