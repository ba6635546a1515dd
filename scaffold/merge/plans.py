"""The plan of a merge: every file that changes, and what a person must look at."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import MergeError
from scaffold.merge.changes import Change, ChangeKind, describe_changes
from scaffold.merge.dependencies import merge_files
from scaffold.merge.protected import (
    TeamOwnedSplit,
    find_barred,
    find_behind_files,
    find_blocked,
    find_obstacles,
    leave_out,
    split_team_owned,
)
from scaffold.merge.repository import Workspace, read_head, require_marker
from scaffold.merge.scratch import (
    Blob,
    Files,
    ScratchRepository,
    open_scratch,
    to_branch_name,
)
from scaffold.merge.sides import Sides, build_sides, find_moves, hash_render
from scaffold.merge.three_way import Merged, MergeInput, Stages


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the two sides in conflict markers; blanks become dashes."""

    ours: str = "yours"
    theirs: str = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A merge that is computed and not written, in a scratch repository; usable in its block.

    `before` and `after` are trees of the whole repository. `stages` is what the index shall say
    of conflicts. `identical` files are on disk already, without git having them; `ignored` ones
    are added and git ignores them: they go to the disk alone. `today` are the workspace's files
    now, `files` afterwards, `theirs` the template's.
    """

    workspace: Workspace
    scratch: ScratchRepository
    changes: tuple[Change, ...]
    before: str
    after: str
    stages: Mapping[str, Stages]
    identical: frozenset[str]
    ignored: frozenset[str]
    today: Files
    files: Files
    theirs: Files

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """What a person has to decide."""
        return tuple(one for one in self.changes if one.kind is ChangeKind.CONFLICT)

    @property
    def is_empty(self) -> bool:
        """Whether applying it changes nothing (suggestions and kept files change nothing)."""
        return self.before == self.after and not self.stages

    def diff(self) -> str:
        """Return what the work tree will change by, as `git diff` has it, with conflict markers."""
        return self.scratch.diff(self.before, self.after)


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
) -> Generator[Plan]:
    """Merge the change from one render to another into the last commit; write nothing.

    Before the first commit, what is staged is taken for the last commit. Raises MergeError when
    git does not have the workspace, ToolError when git fails.

    Args:
        workspace: Where to merge.
        before: The folder with the template as the workspace records it.
        after: The folder with the template as it shall be.
        team_owned: Files, folders or patterns (`*`), as they are called in either folder.
        follow: Whether team-owned files that nobody edited change as well.
        renames: Old to new path of files or folders the template moved.
        labels: Names of the two sides in conflict markers.
    """
    with open_scratch(workspace) as scratch:
        around = scratch.read_committed_tree()
        today = scratch.list_files(around)
        require_marker(workspace, today)
        sides = _read_sides(scratch, today, (before, after), renames or {})
        split = split_team_owned(sides, team_owned, follow=follow)
        yield _compute(scratch, around, sides, split, _distinct_names(labels))


def _compute(
    scratch: ScratchRepository,
    around: str,
    sides: Sides,
    split: TeamOwnedSplit,
    labels: tuple[str, str],
) -> Plan:
    behind = find_behind_files(sides, split.after)
    # As if the team had never touched it: the template's marker wins without a conflict.
    marker = scratch.workspace.marker
    inputs = MergeInput(
        around=around,
        before={**sides.before, marker: sides.ours[marker]},
        ours=sides.ours,
        after=_hold_back(split.after, behind),
        labels=labels,
    )
    merged = merge_files(scratch, inputs)
    obstacles = find_obstacles(scratch, sides.today, merged)
    final = leave_out(merged, obstacles)
    return Plan(
        workspace=scratch.workspace,
        scratch=scratch,
        changes=describe_changes(sides, final, split.newer, obstacles, behind.keys()),
        before=around,
        after=_write_tree(scratch, around, sides.today, final),
        stages=final.stages,
        identical=obstacles.identical - obstacles.hidden,
        ignored=obstacles.hidden & final.files.keys(),
        today=sides.today,
        files=final.files,
        theirs=sides.after,
    )


def _read_sides(
    scratch: ScratchRepository,
    today: Files,
    folders: tuple[Path, Path],
    renames: Mapping[str, str],
) -> Sides:
    old, new = (hash_render(scratch, folder, today) for folder in folders)
    moves = find_moves(renames, old, new, today)
    barred = find_barred(scratch.workspace, moves)
    moves = {path: to for path, to in moves.items() if to not in barred}
    return build_sides(scratch, today, (old, new), moves)


def _hold_back(after: Files, behind: Mapping[str, Blob | None]) -> Files:
    """Return the template's files with those behind a link as they were before."""
    kept = {path: behind.get(path, blob) for path, blob in after.items()}
    return {path: blob for path, blob in kept.items() if blob}


def _write_tree(scratch: ScratchRepository, around: str, today: Files, final: Merged) -> str:
    if final.tree:
        return final.tree
    return around if final.files == today else scratch.write_tree(around, final.files)


def _distinct_names(labels: Labels) -> tuple[str, str]:
    ours, theirs = to_branch_name(labels.ours), to_branch_name(labels.theirs)
    return (ours, theirs) if ours != theirs else (ours, f"{theirs}-template")


def require_unmoved(plan: Plan) -> None:
    """Raise MergeError when commits or files were added since the plan was made."""
    workspace, scratch = plan.workspace, plan.scratch
    if read_head(workspace.git) != workspace.head or scratch.read_committed_tree() != plan.before:
        raise MergeError("The workspace was committed to in the meantime; run it again.")
    after = scratch.list_files(plan.after)
    added, leaving = after.keys() - plan.today.keys(), plan.today.keys() - after.keys()
    # A file may have come to the disk since, where the plan would write.
    if found := find_blocked(workspace, added - plan.identical, leaving):
        raise MergeError(f"{found[0]} appeared in the meantime; run it again.")


def keep_objects(plan: Plan) -> None:
    """Copy the objects that the plan needs into the team's repository; nothing refers to them."""
    workspace, scratch = plan.workspace, plan.scratch
    if workspace.head is None:
        # The tree of what is staged: only the scratch repository has it so far.
        workspace.git("write-tree")
    single = {blob.oid for stages in plan.stages.values() for blob in stages.values()}
    single |= {change.blob for change in plan.changes if change.blob}
    asked = "\n".join([plan.after, *single, "--not", plan.before, ""])
    scratch.git("pack-objects", "--quiet", "--revs", str(scratch.folder / "needed"), feed=asked)
    for pack in scratch.folder.glob("needed-*.pack"):
        feed = pack.read_bytes().decode("utf-8", "surrogateescape")
        # Loose objects: garbage collection takes them once nothing refers to them any more.
        workspace.git("unpack-objects", "-q", feed=feed)
