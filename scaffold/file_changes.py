"""The files a merge changes, as lines for a person and as rows for a program."""

from collections import Counter
from collections.abc import Iterable

from scaffold.merge import Change, ChangeKind

_ORDER = tuple(ChangeKind)
_ADVICE = {
    ChangeKind.KEPT: "as you have it",
    ChangeKind.SUGGESTION: "yours is untouched; the template has a newer one",
}


def lines(changes: Iterable[Change], *, blobs: bool = False) -> list[str]:
    """A line per file, what asks for a person among them last."""
    return [_line(one, blobs) for one in sorted(changes, key=_place)]


def _place(change: Change) -> tuple[int, str]:
    return _ORDER.index(change.kind), change.path


def _line(change: Change, with_blob: bool) -> str:
    moved = f"{change.was} → {change.path}" if change.was else change.path
    advice = _ADVICE.get(change.kind) or change.advice
    if with_blob and change.blob and change.kind is ChangeKind.SUGGESTION:
        advice = f"{advice}: git show {change.blob[:12]}"
    return f"  {change.kind:<11} {moved}{f'  ({advice})' if advice else ''}"


def counted(changes: Iterable[Change]) -> str:
    """How many files of each kind, in one line."""
    counts = Counter(one.kind for one in changes)
    return (
        ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind]) or "no file changes"
    )


def rows(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """The changes as JSON."""
    return [
        {
            "path": one.path,
            "status": str(one.kind),
            "was": one.was,
            "conflict": one.conflict,
            "advice": one.advice,
            "blob": one.blob,
        }
        for one in sorted(changes, key=_place)
    ]
