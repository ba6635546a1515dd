"""The plan of a merge: every file that changes, and what a person must look at."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.changes import Change, ChangeKind, Sides, classified
from scaffold.merge.dependencies import Settled, settle
from scaffold.merge.lab import Blob, Files, Lab, lab, label
from scaffold.merge.moves import moved, moves
from scaffold.merge.obstacles import Obstacles, obstacles
from scaffold.merge.ownership import seeds
from scaffold.merge.renders import aligned, rendered
from scaffold.merge.steps import Merged, Stages, merge
from scaffold.merge.workspace import ANSWERS, Workspace

_DEPENDENCIES = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the two sides in conflict markers; blanks become dashes."""

    ours: str = "yours"
    theirs: str = "template"


@dataclass(frozen=True, slots=True)
class Plan:
    """A merge worked out, in a temporary object directory; usable until its block ends.

    `before` and `after` are trees of the whole repository. `stages` holds what the index shall say
    of conflicts, `identical` the files that are on disk already, without git having them.
    """

    workspace: Workspace
    changes: tuple[Change, ...]
    before: str
    after: str
    stages: Mapping[str, Stages]
    identical: frozenset[str]
    lab: Lab

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """What a person has to decide."""
        return tuple(one for one in self.changes if one.kind is ChangeKind.CONFLICT)

    @property
    def empty(self) -> bool:
        """Whether applying it changes nothing (suggestions and kept files change nothing)."""
        return self.before == self.after and not self.stages

    def diff(self) -> str:
        """The workspace before and after, as `git diff` shows it, conflict markers included."""
        return difference(self.lab, self.before, self.after)


def difference(lab: Lab, before: str, after: str, *options: str) -> str:
    """`git diff` of the workspace's folder in two trees of the whole repository."""
    within = [f"--relative={lab.workspace.prefix}"] if lab.workspace.prefix else []
    text = lab.git("diff", "--find-renames", *within, *options, before, after)
    return f"{text}\n" if text else ""


@contextmanager
def plan(
    workspace: Workspace,
    before: Path,
    after: Path,
    *,
    team_owned: Sequence[str] = (),
    follow: bool = False,
    renames: Mapping[str, str] | None = None,
    labels: Labels = Labels(),
    always: Sequence[str] = (ANSWERS,),
) -> Generator[Plan]:
    """Merge the change from `before` to `after` into the last commit; writes nothing.

    `team_owned`: files, folders or patterns (`*`), as they are called in `before` or `after`;
    with `follow` those that nobody edited change as well.
    `renames`: old to new path of files or folders the template moved, a package's folder as well.
    `always`: files taken from `after` whatever the team did to them.
    Before the first commit, what is staged is taken for the last commit.
    Raises MergeError, ToolError.
    """
    with lab(workspace) as work:
        around = committed(work)
        there = work.workspace_files(around)
        if ANSWERS not in there:
            raise MergeError(
                f"git does not have {workspace.folder / ANSWERS}; run git add and git commit first."
            )
        sides = _sides(work, there, (before, after), renames or {})
        names = _names(labels)
        held = seeds(sides.before, sides.after, sides.ours, team_owned, follow=follow)
        base = {**sides.before, **{path: sides.ours[path] for path in always if path in sides.ours}}
        merged = _merged(work, around, base, sides.ours, held.after, names)
        met = obstacles(work, there, merged.files)
        final = _without_taken(merged, met)
        yield Plan(
            workspace=workspace,
            changes=classified(replace(sides, result=final.files), final, held.newer, met),
            before=around,
            after=final.tree
            or (around if final.files == there else work.tree(around, final.files)),
            stages=final.stages,
            identical=met.identical,
            lab=work,
        )


def committed(work: Lab) -> str:
    """The tree of the last commit, or before the first one of what is staged."""
    if head := work.workspace.head:
        return work.git("rev-parse", f"{head}^{{tree}}")
    return work.team("write-tree")


def _sides(
    work: Lab, there: Files, folders: tuple[Path, Path], renames: Mapping[str, str]
) -> Sides:
    old, new = (rendered(work, folder, there) for folder in folders)
    to = moves(renames, old, new, there)
    ours, was = moved(there, to), moved(old, to)
    missing = {path: blob for path, blob in was.items() if path not in ours}
    return Sides(
        there=there,
        before=aligned(work, was, ours, missing),
        ours=ours,
        after=aligned(work, new, ours, missing),
        result=ours,
        moves={path: new for path, new in to.items() if path in there},
    )


def _names(labels: Labels) -> tuple[str, str]:
    mine, other = label(labels.ours), label(labels.theirs)
    return (mine, other) if mine != other else (mine, f"{other}-template")


def _merged(
    work: Lab, around: str, before: Files, ours: Files, after: Files, names: Sequence[str]
) -> Merged:
    settled = _settled(work, before, ours, after)
    if settled is None:
        return merge(work, around, before, ours, after, names)
    old, new = (
        Blob(files[_DEPENDENCIES].mode, work.blob(text))
        for files, text in ((before, settled.before), (after, settled.after))
    )
    merged = merge(
        work,
        around,
        {**before, _DEPENDENCIES: old},
        ours,
        {**after, _DEPENDENCIES: new},
        names,
    )
    result = merged.files.get(_DEPENDENCIES)
    text = result and settled.applied(work.contents([result.oid])[result.oid])
    if not result or text is None:
        return merge(work, around, before, ours, after, names)
    files = {**merged.files, _DEPENDENCIES: Blob(result.mode, work.blob(text))}
    real = {1: before[_DEPENDENCIES], 3: after[_DEPENDENCIES]}
    stages = dict(merged.stages)
    if _DEPENDENCIES in stages:
        stages[_DEPENDENCIES] = {**stages[_DEPENDENCIES], **real}
    return replace(merged, tree=None, files=files, stages=stages)


def _settled(work: Lab, before: Files, ours: Files, after: Files) -> Settled | None:
    versions = [files.get(_DEPENDENCIES) for files in (before, ours, after)]
    oids = [version.oid for version in versions if version]
    if len(set(oids)) < 3:
        return None
    known = work.contents(oids)
    settled = settle(*(known[oid] for oid in oids))
    return settled if settled.final else None


def _without_taken(merged: Merged, met: Obstacles) -> Merged:
    """Leave out what would overwrite a file git does not have; show it as added by the template.

    An ignored file may hold a secret: not even its name goes into the index.
    """
    if not met.taken:
        return merged
    files = {path: blob for path, blob in merged.files.items() if path not in met.taken}
    shown = met.taken - met.ignored - merged.stages.keys()
    added = {path: {3: merged.files[path]} for path in shown}
    return replace(merged, tree=None, files=files, stages={**merged.stages, **added})
