"""A list of paths drawn as a tree."""

from collections.abc import Sequence
from itertools import groupby


def drawn(name: str, paths: Sequence[str]) -> str:
    """The tree of `paths` (with `/` between their parts) under a folder called `name`."""
    return "\n".join([f"{name}/", *_lines([path.split("/") for path in sorted(paths)], "")])


def _lines(parts: list[list[str]], indent: str) -> list[str]:
    groups = [(name, list(group)) for name, group in groupby(parts, key=lambda part: part[0])]
    lines: list[str] = []
    for at, (name, group) in enumerate(groups):
        last = at == len(groups) - 1
        inner = [part[1:] for part in group if len(part) > 1]
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}{'/' if inner else ''}")
        lines += _lines(inner, indent + ("    " if last else "│   "))
    return lines
