"""After a package was renamed: what of the team's own still calls it by the old name."""

import re
from collections.abc import Iterator

from scaffold.merge import Plan

_SHOWN = 5


def notes(plan: Plan, old: str, new: str) -> list[str]:
    """Return a note per file, by path; none when the package keeps its name."""
    if old == new:
        return []
    return [*_naming(plan, old, new), *_left_behind(plan, old)]


def _naming(plan: Plan, old: str, new: str) -> Iterator[str]:
    """The files that the template did not render this way and that name the old package."""
    named = re.compile(
        rf"(^\s*(from|import)\s+{old}\b|\bsrc/{old}\b|(?<![\w./-]){old}\.\w|['\"]{old}:)", re.M
    )
    own = {path: blob.oid for path, blob in plan.files.items() if plan.theirs.get(path) != blob}
    texts = plan.scratch.read_blobs(own.values()) if own else {}
    for path, oid in sorted(own.items()):
        text = texts.get(oid, "\0")
        found = (
            [] if "\0" in text else [text.count("\n", 0, m.start(1)) for m in named.finditer(text)]
        )
        if lines := sorted({at + 1 for at in found}):
            shown = ", ".join(map(str, lines[:_SHOWN])) + ("…" if len(lines) > _SHOWN else "")
            where = f"line {shown}" if len(lines) == 1 else f"lines {shown}"
            yield f"{path} still names the package {old} ({where}); write {new} there."


def _left_behind(plan: Plan, old: str) -> Iterator[str]:
    """Files that git does not have, so that they do not move with the package."""
    folder = plan.workspace.folder / "src" / old
    tracked = {f"src/{old}", *plan.today}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(plan.workspace.folder).as_posix()
        if name not in tracked and path.is_file():
            yield f"git does not have {name}, so it stays where it is; move it yourself."
