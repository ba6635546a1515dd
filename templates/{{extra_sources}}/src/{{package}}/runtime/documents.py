"""A document as text: text, Markdown and HTML here, other formats by a module of `converters/`.

A converter is a module called like the suffix it reads (`converters/pdf.py`), with
`convert(path: Path) -> str`; a new one is found by itself.
"""

import importlib
from pathlib import Path

from .errors import FleetError
from .readable import decode, of_html

MAX_BYTES = 50_000_000
_CONVERTERS = Path(__file__).with_name("converters")
_FORMATS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "an Office or zip file",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office file",
}
_MOST_ODD = 0.01
"""The share of control and unreadable characters that a text may have."""


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
    elif suffix in ("html", "htm"):
        text = of_html(decode(path.read_bytes()))[1]
    else:
        text = decoded(path.read_bytes(), path.name)
    if not text.strip():
        raise DocumentError(f"{path.name} holds no text; a scan has to go through OCR first.")
    return text


def decoded(data: bytes, name: str) -> str:
    """Bytes that should be text. Raises DocumentError when they are something else."""
    if what := next((known for magic, known in _FORMATS.items() if data.startswith(magic)), None):
        raise DocumentError(
            f"{name} is {what}, not text: run `scaffold add extra documents` and keep its "
            ".pdf or .docx suffix, or save it as text."
        )
    text = decode(data)
    odd = sum(char == "\ufffd" or (char < " " and char not in "\t\n\r\f\x1b") for char in text)
    if "\0" in text or odd > _MOST_ODD * len(text):
        raise DocumentError(f"{name} is binary or in an unknown encoding: save it as UTF-8 text.")
    return text


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
