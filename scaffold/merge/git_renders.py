"""Renders as git would have them, had the team committed them: its attributes, its line endings."""

import shutil
from pathlib import Path

from scaffold.merge.repository import ANSWERS, records
from scaffold.merge.scratch import Blob, Files, Lab

_REGULAR = {"100644", "100755"}
_ATTRIBUTES = ".gitattributes"
_AS_RENDERED = (
    "core.autocrlf=false",
    # A render's run bits and names count also where the team's file system has neither.
    "core.fileMode=true",
    "core.ignoreCase=false",
    "core.symlinks=true",
    "core.excludesFile=/dev/null",
    "core.sparseCheckout=false",
)


def rendered(lab: Lab, folder: Path, team: Files) -> dict[str, Blob]:
    """The files of a plain folder, hashed under the attributes of the team's repository."""
    attributes = _attribute_files(lab, team)
    if not attributes:
        return _hashed(lab, folder)
    prefix = lab.workspace.prefix
    staging = lab.folder / "staging"
    shutil.copytree(folder, staging / prefix, symlinks=True)
    for path in attributes:
        place = staging / path.relative_to(lab.workspace.top)
        if place.parent.is_dir():
            shutil.copyfile(path, place)
    files = _hashed(lab, staging)
    shutil.rmtree(staging)
    inside = {path[len(prefix) :]: blob for path, blob in files.items() if path.startswith(prefix)}
    return _without_lent(lab, folder, inside)


def aligned(lab: Lab, files: Files, team: Files, missing: Files) -> dict[str, Blob]:
    """`files` with the line endings that the team's own have.

    Those of `missing`, which the team moved or deleted, get the endings of the answers file: no
    one edits it by hand, so it shows how the whole workspace was converted.
    """
    models = {
        path: team[path if path in team else ANSWERS] for path in {*team, *missing} & {*files}
    }
    differing = {path: model for path, model in models.items() if files[path].oid != model.oid}
    regular = [path for path in differing if {files[path].mode, differing[path].mode} <= _REGULAR]
    known = lab.contents(
        oid for path in regular for oid in (files[path].oid, differing[path].oid)
    ) if regular else {}  # fmt: skip
    result = dict(files)
    for path in regular:
        content = known[files[path].oid]
        changed = _with_ending(content, ending(known[differing[path].oid]))
        if changed != content:
            result[path] = Blob(files[path].mode, lab.blob(changed))
    return result


def with_team_modes(before: Files, after: Files, team: Files) -> tuple[Files, Files]:
    """Both renders with the modes that the team's files have, where git does not look at them.

    A mode that the template changes stays changed.
    """
    old, new = dict(before), dict(after)
    for path in before.keys() & team.keys():
        mode = team[path].mode
        if {before[path].mode, mode} == _REGULAR:
            old[path] = Blob(mode, before[path].oid)
            if path in after and after[path].mode == before[path].mode:
                new[path] = Blob(mode, after[path].oid)
    return old, new


def ending(content: str) -> str | None:
    """How most lines of a text end; None when it has no lines or is binary."""
    lines = content.count("\n")
    if not lines or "\0" in content:
        return None
    return "\r\n" if 2 * content.count("\r\n") > lines else "\n"


def _with_ending(content: str, wanted: str | None) -> str:
    # A text that mixes line endings does so for a reason; a binary file has none.
    mixed = content.count("\r\n") not in (0, content.count("\n"))
    if wanted is None or mixed or ending(content) in (None, wanted):
        return content
    return content.replace("\r\n", "\n").replace("\n", wanted)


def _hashed(lab: Lab, folder: Path) -> dict[str, Blob]:
    index = lab.folder / "index"
    index.unlink(missing_ok=True)
    team = lab.team.using(GIT_INDEX_FILE=index, GIT_WORK_TREE=folder.resolve())
    add = type(team)(folder, team.variables)
    add("add", "--all", "--force", ".", config=_AS_RENDERED)
    told = add("ls-files", "--stage", "-z")
    lines = (line.split("\t", 1) for line in records(told))
    return {path: Blob(*facts.split()[:2]) for facts, path in lines}


def _attribute_files(lab: Lab, team: Files) -> list[Path]:
    """The team's attribute files that can say something about the workspace's."""
    workspace = lab.workspace
    inside = [workspace.folder / path for path in team if Path(path).name == _ATTRIBUTES]
    above = [
        folder / _ATTRIBUTES
        for folder in workspace.folder.parents
        if folder.is_relative_to(workspace.top)
    ]
    return [path for path in (*above, *inside) if path.is_file()]


def _without_lent(lab: Lab, folder: Path, files: dict[str, Blob]) -> dict[str, Blob]:
    """The attribute files as rendered, instead of the team's that stood in for them."""
    result = {path: blob for path, blob in files.items() if Path(path).name != _ATTRIBUTES}
    for path in folder.rglob(_ATTRIBUTES):
        content = path.read_bytes().decode("utf-8", "surrogateescape")
        result[path.relative_to(folder).as_posix()] = Blob("100644", lab.blob(content))
    return result
