"""The sides of a merge: both renders as git would have them, had the team committed them.

They get the team's attributes, line endings and modes, and the paths that files have after
declared renames.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.merge.repository import Git, tracks_modes
from scaffold.merge.scratch import Blob, Files, ScratchRepository, parse_index

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The workspace's files on all sides; `ours` and `before` at the paths of declared renames.

    `today` are the team's files at the paths they have now, `moves` old to new path.
    """

    today: Files
    before: Files
    ours: Files
    after: Files
    moves: Mapping[str, str]


def build_sides(
    scratch: ScratchRepository,
    today: Files,
    renders: tuple[Files, Files],
    moves: Mapping[str, str],
) -> Sides:
    """Return the sides of a merge of two hashed renders into the team's files.

    `moves` are the files that move, of either side: old to new path.
    """
    old, new = renders
    ours, was = _move(today, moves), _move(old, moves)
    missing = {path: blob for path, blob in was.items() if path not in ours}
    before, after = (align_line_endings(scratch, files, ours, missing) for files in (was, new))
    if not tracks_modes(scratch.workspace.git):
        before, after = _with_team_modes(before, after, ours)
    return Sides(
        today=today,
        before=before,
        ours=ours,
        after=after,
        moves={path: to for path, to in moves.items() if path in today},
    )


def hash_render(scratch: ScratchRepository, folder: Path, team: Files) -> dict[str, Blob]:
    """Return the files of a plain folder, hashed under the attributes of the team's repository."""
    attributes = _find_attribute_files(scratch, team)
    if not attributes:
        return _hash_folder(scratch, folder)
    prefix = scratch.workspace.prefix
    # git reads attributes from the work tree only, so the render is put beside the team's.
    staging = scratch.folder / "staging"
    shutil.copytree(folder, staging / prefix, symlinks=True)
    for path in attributes:
        place = staging / path.relative_to(scratch.workspace.top)
        if place.parent.is_dir():
            shutil.copyfile(path, place)
    files = _hash_folder(scratch, staging)
    shutil.rmtree(staging)
    inside = {path[len(prefix) :]: blob for path, blob in files.items() if path.startswith(prefix)}
    return _restore_attribute_files(scratch, folder, inside)


def _hash_folder(scratch: ScratchRepository, folder: Path) -> dict[str, Blob]:
    index = scratch.folder / "index"
    index.unlink(missing_ok=True)
    team = scratch.team.with_variables(GIT_INDEX_FILE=index, GIT_WORK_TREE=folder.resolve())
    git = Git(folder, team.variables)
    git("add", "--all", "--force", ".", config=_AS_RENDERED)
    entries = parse_index(git("ls-files", "--stage", "-z"))
    return {path: versions[0] for path, versions in entries.items()}


def _find_attribute_files(scratch: ScratchRepository, team: Files) -> list[Path]:
    """Return the team's attribute files that can say something about the workspace's files."""
    workspace = scratch.workspace
    inside = [workspace.folder / path for path in team if Path(path).name == _ATTRIBUTES]
    # git reads them from the root down to a file's own folder.
    above = [
        folder / _ATTRIBUTES
        for folder in workspace.folder.parents
        if folder.is_relative_to(workspace.top)
    ]
    return [path for path in (*above, *inside) if path.is_file()]


def _restore_attribute_files(
    scratch: ScratchRepository, folder: Path, files: Files
) -> dict[str, Blob]:
    """Put the rendered attribute files back, where the team's stood in for them."""
    result = {path: blob for path, blob in files.items() if Path(path).name != _ATTRIBUTES}
    for path in folder.rglob(_ATTRIBUTES):
        content = path.read_bytes().decode("utf-8", "surrogateescape")
        result[path.relative_to(folder).as_posix()] = Blob("100644", scratch.write_blob(content))
    return result


def align_line_endings(
    scratch: ScratchRepository, files: Files, team: Files, missing: Files
) -> dict[str, Blob]:
    """Return `files` with the line endings that the team's own have.

    Those of `missing`, which the team moved or deleted, get the endings of the marker: no one
    edits it by hand, so it shows how the whole workspace was converted.
    """
    marker = scratch.workspace.marker
    models = {path: team[path if path in team else marker] for path in {*team, *missing} & {*files}}
    regular = {
        path: model
        for path, model in models.items()
        # Links and submodules do not have lines.
        if files[path].oid != model.oid and {files[path].mode, model.mode} <= _REGULAR
    }
    result = dict(files)
    if not regular:
        return result
    oids = (oid for path, model in regular.items() for oid in (files[path].oid, model.oid))
    contents = scratch.read_blobs(oids)
    for path, model in regular.items():
        content = contents[files[path].oid]
        changed = _with_line_ending(content, _line_ending(contents[model.oid]))
        if changed != content:
            result[path] = Blob(files[path].mode, scratch.write_blob(changed))
    return result


def _line_ending(content: str) -> str | None:
    """Return how most lines of a text end; None when it has no lines or is binary."""
    lines = content.count("\n")
    if not lines or "\0" in content:
        return None
    return "\r\n" if 2 * content.count("\r\n") > lines else "\n"


def _with_line_ending(content: str, wanted: str | None) -> str:
    # A text that mixes line endings does so for a reason; a binary file has none.
    mixed = content.count("\r\n") not in (0, content.count("\n"))
    if wanted is None or mixed or _line_ending(content) in (None, wanted):
        return content
    return content.replace("\r\n", "\n").replace("\n", wanted)


def _with_team_modes(before: Files, after: Files, team: Files) -> tuple[Files, Files]:
    """Return both renders with the modes of the team's files, where git does not look at them.

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


def find_moves(
    renames: Mapping[str, str], before: Files, after: Files, ours: Files
) -> dict[str, str]:
    """Return old to new path of every file that moves, the team's own in a moved folder included.

    A rename counts when `before` has the old path alone and `after` the new one alone. Where the
    team has a file of its own at the new path, the template's is dropped and added instead: the
    team's edits stay where they are.
    """
    moves: dict[str, str] = {}
    for old, new in renames.items():
        if _contains(before, old) and not _contains(after, old) and _contains(after, new):
            found = {
                path: new + path[len(old) :] for path in (*before, *ours) if is_within(path, old)
            }
            # A file that was at the new path before is not the one that moved there.
            moves |= {path: to for path, to in found.items() if to not in before}
    return {path: to for path, to in moves.items() if to not in ours}


def _move(files: Files, moves: Mapping[str, str]) -> Files:
    return {moves.get(path, path): blob for path, blob in files.items()}


def is_within(path: str, place: str) -> bool:
    """Tell whether a path is a place, or in the folder of that name."""
    return path == place or path.startswith(f"{place}/")


def _contains(files: Files, place: str) -> bool:
    return any(is_within(path, place) for path in files)
