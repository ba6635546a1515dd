"""pyproject.toml in a merge of all files: its dependency arrays merge as sets, the rest as lines."""

from collections.abc import Sequence
from dataclasses import replace

from scaffold.merge import steps
from scaffold.merge.dependencies import Settled, settle
from scaffold.merge.lab import Blob, Files, Lab
from scaffold.merge.steps import Merged

_PATH = "pyproject.toml"


def merge(
    work: Lab, around: str, before: Files, ours: Files, after: Files, names: Sequence[str]
) -> Merged:
    """Merge as steps.merge does; where both sides changed an array, settled without a conflict."""
    if settled := _settled(work, before, ours, after):
        old, new = (
            {**files, _PATH: Blob(files[_PATH].mode, work.blob(text))}
            for files, text in ((before, settled.before), (after, settled.after))
        )
        merged = steps.merge(work, around, old, ours, new, names)
        result = merged.files.get(_PATH)
        text = result and settled.applied(work.contents([result.oid])[result.oid])
        if result and text is not None:
            final = Blob(result.mode, work.blob(text))
            return _with_file(merged, final, before[_PATH], after[_PATH])
    return steps.merge(work, around, before, ours, after, names)


def _settled(work: Lab, before: Files, ours: Files, after: Files) -> Settled | None:
    versions = [files.get(_PATH) for files in (before, ours, after)]
    oids = [version.oid for version in versions if version]
    if len(set(oids)) < 3:
        return None
    known = work.contents(oids)
    settled = settle(*(known[oid] for oid in oids))
    return settled if settled.final else None


def _with_file(merged: Merged, final: Blob, before: Blob, after: Blob) -> Merged:
    """The merge with the settled file; a conflict in its other lines is one of the real versions."""
    stages = dict(merged.stages)
    if _PATH in stages:
        stages[_PATH] = {**stages[_PATH], 1: before, 3: after}
    return replace(merged, tree=None, files={**merged.files, _PATH: final}, stages=stages)
