"""Describe the files that a merge changes: a line, a row or a count of them."""

from collections import Counter
from collections.abc import Iterable

from scaffold.merge import Change, ChangeKind

_ORDER = tuple(ChangeKind)
_ADVICE = {
    ChangeKind.KEPT: "as you have it",
    ChangeKind.SUGGESTION: "yours is untouched; the template has a newer one",
}
_LOOK_AT = (ChangeKind.CONFLICT, ChangeKind.SUGGESTION)


def lines(changes: Iterable[Change], *, blobs: bool = False) -> list[str]:
    """Return a line per file, those that need a person last."""
    return [_line(one, blobs) for one in sorted(changes, key=_place)]


def _place(change: Change) -> tuple[int, str]:
    return _ORDER.index(change.kind), change.path


def _line(change: Change, with_blob: bool) -> str:
    moved = f"{change.was} → {change.path}" if change.was else change.path
    advice = _ADVICE.get(change.kind) or change.advice
    if with_blob and change.blob and change.kind is ChangeKind.SUGGESTION:
        advice = f"{advice}: git show {change.blob[:12]}"
    return f"  {change.kind:<11} {moved}{f'  ({advice})' if advice else ''}"


def count(changes: Iterable[Change]) -> str:
    """Return how many files of each kind there are, in one line."""
    counts = Counter(one.kind for one in changes)
    return (
        ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind]) or "no file changes"
    )


def rows(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """Return the changes as JSON has them."""
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


def needs_person(change: Change) -> bool:
    """Tell whether a file needs a decision, has a newer version, or is not taken by git."""
    return change.kind in _LOOK_AT or bool(change.kind is ChangeKind.ADDED and change.advice)
