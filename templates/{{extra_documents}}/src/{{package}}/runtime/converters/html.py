"""HTML to Markdown: what a reader sees, without scripts and pictures."""

from pathlib import Path

from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

from ..documents import decoded

_UNSEEN = ["script", "style", "template", "noscript", "svg", "iframe", "img", "head"]


def convert(path: Path) -> str:
    """The page's visible text."""
    return markdown(decoded(path.read_bytes(), path.name))


def markdown(html: str) -> str:
    """HTML as Markdown; comments and hidden elements are left out."""
    page = BeautifulSoup(html, "html.parser")
    for element in page.find_all(_UNSEEN) + page.select("[hidden], [aria-hidden=true]"):
        element.decompose()
    return MarkdownConverter(heading_style="atx").convert_soup(page).strip()
