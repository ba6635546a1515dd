"""HTML to Markdown: headings, lists and tables stay, scripts, menus and pictures go."""

from pathlib import Path

from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

from ..readable import decode

_UNSEEN = [
    *("head", "style", "script", "noscript", "template", "svg", "iframe", "img"),
    *("nav", "footer", "aside", "form", "button"),
]


def convert(path: Path) -> str:
    """The page's visible text."""
    return markdown(decode(path.read_bytes()))


def markdown(html: str) -> str:
    """HTML as Markdown; comments and hidden elements are left out."""
    page = BeautifulSoup(html, "html.parser")
    for element in page.find_all(_UNSEEN) + page.select("[hidden], [aria-hidden=true]"):
        element.decompose()
    return MarkdownConverter(heading_style="atx").convert_soup(page).strip()
