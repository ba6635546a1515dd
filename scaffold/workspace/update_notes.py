"""What a team should know besides after an update: features without files, and old package names."""

import re
from collections.abc import Iterator
from pathlib import Path

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.feature import MANIFEST, Feature
from scaffold.catalog.kinds import KINDS, Selection
from scaffold.catalog.path_rules import fill_pattern
from scaffold.errors import ManifestError
from scaffold.merge import Plan
from scaffold.system.paths import ANSWERS_FILE
from scaffold.workspace.files import AnswersFile

_MOST_LINES = 5


def list_absent_features(
    catalog: Catalog, selection: Selection, workspace: AnswersFile
) -> list[str]:
    """Return a note for each feature that is recorded and has no file in the workspace.

    An update takes what is recorded as rendered, so it would not bring these files either.
    """
    return [
        f"{feature.kind} {feature.name} is recorded, but none of its files is here. If it was"
        f" written into {ANSWERS_FILE} by hand, take it out there, commit, and run"
        f" `scaffold add {feature.kind} {feature.name}`."
        for feature in catalog.list_enabled(selection)
        if feature.kind in KINDS and not feature.hidden and _is_absent(feature, workspace)
    ]


def _is_absent(feature: Feature, workspace: AnswersFile) -> bool:
    try:
        paths = [path for name in _names(feature) for path in fill_pattern(name, workspace.answers)]
    except ManifestError:
        # A file's name may hold more Jinja than a manifest's paths, `yield` for one.
        return False
    return bool(paths) and not any((workspace.folder / path).exists() for path in paths)


def _names(feature: Feature) -> Iterator[str]:
    """Yield the paths of a feature's files as its folder has them, with answers to fill in."""
    for path in sorted(feature.folder.rglob("*")):
        inside: Path = path.relative_to(feature.folder)
        if path.is_file() and inside.name != MANIFEST and inside.parts[0] != "_parts":
            yield inside.as_posix().removesuffix(".jinja")


def list_old_names(plan: Plan, old: str, new: str) -> list[str]:
    """Return a note for each file of the team that has the package's old name, by path."""
    if old == new:
        return []
    return [*_list_mentions(plan, old, new), *_list_untracked(plan, old)]


def _list_mentions(plan: Plan, old: str, new: str) -> Iterator[str]:
    """Yield the files that the template did not render this way and that name the old package."""
    mention = re.compile(
        rf"(^\s*(from|import)\s+{old}\b|\bsrc/{old}\b|(?<![\w./-]){old}\.\w|['\"]{old}:)", re.M
    )
    own = {path: blob.oid for path, blob in plan.files.items() if plan.theirs.get(path) != blob}
    texts = plan.scratch.read_blobs(own.values()) if own else {}
    for path, oid in sorted(own.items()):
        text = texts.get(oid, "\0")
        if "\0" in text:
            continue
        lines = sorted({text.count("\n", 0, m.start(1)) + 1 for m in mention.finditer(text)})
        if lines:
            listed = ", ".join(map(str, lines[:_MOST_LINES]))
            more = "…" if len(lines) > _MOST_LINES else ""
            where = f"{'line' if len(lines) == 1 else 'lines'} {listed}{more}"
            yield f"{path} still names the package {old} ({where}); write {new} there."


def _list_untracked(plan: Plan, old: str) -> Iterator[str]:
    """Yield the files that git does not have, so that they do not move with the package."""
    folder = plan.workspace.folder / "src" / old
    tracked = {f"src/{old}", *plan.today}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(plan.workspace.folder).as_posix()
        if name not in tracked and path.is_file():
            yield f"git does not have {name}, so it stays where it is; move it yourself."
