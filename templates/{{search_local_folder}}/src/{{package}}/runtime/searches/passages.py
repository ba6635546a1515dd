"""A text as passages that a search can return one by one."""

import re
from collections.abc import Iterator


def split_passages(text: str, most: int) -> Iterator[tuple[str, str, int]]:
    """Yield heading, text and first line of each passage: by headings, then by paragraphs."""
    title, start, size = "", 1, 0
    lines: list[str] = []
    for number, line in _cut_lines(text, most):
        heading = re.match(r"#{1,6}\s+(.+)", line)
        full = size >= most and not line.strip()
        if any(lines) and (heading or full or size >= 2 * most):
            yield title, "\n".join(lines).strip(), start
            lines, size = [], 0
        if not any(lines):
            lines, start = [], number
        title = heading[1].strip() if heading else title
        lines.append(line)
        size += len(line)
    if any(lines):
        yield title, "\n".join(lines).strip(), start


def _cut_lines(text: str, most: int) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for at in range(0, max(1, len(line)), most):
            yield number, line[at : at + most]
