"""Word to Markdown, by way of HTML."""

import importlib
import zipfile
from pathlib import Path
from typing import Any

from ..document import MAX_BYTES, DocumentError
from ..readable import html_to_markdown

mammoth: Any = importlib.import_module("mammoth")  # it has no types

_MOST_PARTS = 10_000


def convert(path: Path) -> str:
    """Keep headings, lists and tables; leave pictures out.

    Raises:
        DocumentError: The file is encrypted, not a .docx, or could exhaust the memory.
    """
    if not zipfile.is_zipfile(path):
        raise DocumentError(f"{path.name} is encrypted or not a .docx", "save it as a plain .docx")
    with zipfile.ZipFile(path) as parts:
        _refuse_bomb(parts, path.name)
    with path.open("rb") as file:
        found = mammoth.convert_to_html(file, convert_image=_omit_picture)
    return html_to_markdown(found.value)[1]


def _omit_picture(_: object) -> list[object]:
    """Put nothing in place of a picture."""
    return []


def _refuse_bomb(parts: zipfile.ZipFile, name: str) -> None:
    """Raise DocumentError for a bomb. No part can unpack to more than it declares."""
    listed = parts.infolist()
    texts = [part for part in listed if part.filename.lower().endswith((".xml", ".rels"))]
    unpacked = sum(part.file_size for part in texts)
    if unpacked > MAX_BYTES:
        raise DocumentError(f"{name} unpacks to {unpacked / 1e6:,.0f} MB of text", "split it")
    if len(listed) > _MOST_PARTS:
        raise DocumentError(f"{name} has {len(listed):,} parts", "save it again in Word")
    for part in texts:
        with parts.open(part) as file:
            if b"<!doctype" in file.read(2000).lower():  # entities that grow without end
                raise DocumentError(f"{name} defines entities, which Word never does")
