"""PDF to text, page by page."""

from pathlib import Path

from pypdf import PdfReader

from ..documents import DocumentError


def convert(path: Path) -> str:
    """The text layer; a page is a paragraph. Raises DocumentError for an encrypted file."""
    reader = PdfReader(path)
    if reader.is_encrypted:
        raise DocumentError(f"{path.name} is encrypted: save it without its password.")
    return "\n\n".join(page.extract_text() for page in reader.pages)
