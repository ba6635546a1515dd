"""Word to Markdown, by way of HTML."""

import importlib
import zipfile
from pathlib import Path
from typing import Any

from ..documents import MAX_BYTES, DocumentError
from .html import markdown

mammoth: Any = importlib.import_module("mammoth")  # it has no types


def convert(path: Path) -> str:
    """Headings, lists and tables stay; pictures go. Raises DocumentError."""
    if not zipfile.is_zipfile(path):
        raise DocumentError(f"{path.name} is encrypted or no .docx: save it as a plain .docx.")
    with zipfile.ZipFile(path) as parts:
        unpacked = sum(part.file_size for part in parts.infolist())
    if unpacked > 10 * MAX_BYTES:
        raise DocumentError(f"{path.name} unpacks to {unpacked / 1e6:,.0f} MB: split it.")
    with path.open("rb") as file:
        return markdown(mammoth.convert_to_html(file).value)
