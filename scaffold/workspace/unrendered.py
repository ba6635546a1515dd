"""Features that the answers name and the workspace has nothing of: written there by hand, perhaps."""

from collections.abc import Iterator
from pathlib import Path

from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.feature import MANIFEST, Feature
from scaffold.catalog.kinds import KINDS, Selection
from scaffold.catalog.path_rules import fill_pattern
from scaffold.errors import ManifestError
from scaffold.workspace.files import Recorded


def notes(catalogue: Catalogue, selection: Selection, workspace: Recorded) -> list[str]:
    """A line for each of them: an update takes what is recorded as rendered."""
    return [
        f"{feature.kind} {feature.name} is recorded, but none of its files is here. If it was"
        " written into .copier-answers.yml by hand, take it out there, commit, and run"
        f" `scaffold add {feature.kind} {feature.name}`."
        for feature in catalogue.list_enabled(selection)
        if feature.kind in KINDS and not feature.hidden and _is_absent(feature, workspace)
    ]


def _is_absent(feature: Feature, workspace: Recorded) -> bool:
    try:
        paths = [path for name in _names(feature) for path in fill_pattern(name, workspace.answers)]
    except ManifestError:
        # A file's name may hold more Jinja than a manifest's paths, `yield` for one.
        return False
    return bool(paths) and not any((workspace.folder / path).exists() for path in paths)


def _names(feature: Feature) -> Iterator[str]:
    """The paths of a feature's files as its folder has them, with answers still to fill in."""
    for path in sorted(feature.folder.rglob("*")):
        inside: Path = path.relative_to(feature.folder)
        if path.is_file() and inside.name != MANIFEST and inside.parts[0] != "_parts":
            yield inside.as_posix().removesuffix(".jinja")
