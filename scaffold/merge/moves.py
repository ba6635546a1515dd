"""Declared renames: the template says which file or folder it moved, nothing is guessed."""

from collections.abc import Callable, Collection, Mapping

from scaffold.merge.lab import Files


def moves(
    renames: Mapping[str, str],
    before: Files,
    after: Files,
    ours: Files,
    taken: Callable[[Mapping[str, str]], Collection[str]] = lambda _: (),
) -> dict[str, str]:
    """Old to new path of every file that moves, the team's own in a moved folder included.

    A rename counts when `before` has the old path alone and `after` the new one alone. Where the
    team has a file of its own at the new path, or one is `taken` (of old to new paths) on disk,
    the template's is dropped and added instead: the team's edits stay where they are.
    """
    result: dict[str, str] = {}
    for old, new in renames.items():
        if _holds(before, old) and not _holds(after, old) and _holds(after, new):
            found = {path: _moved(path, old, new) for path in (*before, *ours) if _in(path, old)}
            result |= {path: to for path, to in found.items() if to not in before}
    free = {path: to for path, to in result.items() if to not in ours}
    barred = taken(free)
    return {path: to for path, to in free.items() if to not in barred}


def moved(files: Files, to: Mapping[str, str]) -> Files:
    """The same files at their new paths."""
    return {to.get(path, path): blob for path, blob in files.items()}


def _in(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _holds(files: Files, place: str) -> bool:
    return any(_in(path, place) for path in files)


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :]
