"""What an update wants on disk and in the index: at its end, or after it was taken back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scaffold.merge import stash
from scaffold.merge.journal import Journal
from scaffold.merge.repository import Git, Workspace
from scaffold.merge.scratch import Blob
from scaffold.merge.three_way import Stages
from scaffold.merge.worktree import Versions, at, differing, listed


@dataclass(frozen=True, slots=True)
class Goal:
    """Files, and what the index says of them, by path from the repository's root.

    `own` paths are the update's: what was edited there is rescued and written over. Elsewhere
    what was edited stays. `known` are the versions that git has, or will have on disk.
    """

    files: Versions
    staged: Versions
    stages: Mapping[str, Stages]
    own: frozenset[str]
    known: Mapping[str, frozenset[Blob]]


@dataclass(frozen=True, slots=True)
class Sides:
    """Every version of the workspace's files that an update knows."""

    journal: Journal
    before: Versions
    after: Versions
    work: stash.Work | None
    now: stash.Work | None
    rescued: tuple[Versions, ...]

    @property
    def own(self) -> frozenset[str]:
        """The paths that the update itself changes on disk."""
        spared = {*self.journal.identical, *self.journal.ignored}
        return frozenset(differing(self.before, self.after) - spared)

    @property
    def worked(self) -> set[str]:
        """The paths of uncommitted work."""
        work = self.work
        return differing(self.before, work.files, work.index) if work else set()

    def apart(self, left: Collection[str]) -> list[str]:
        """The files among those left as they are of which the work has another version."""
        work = self.work
        return sorted(path for path in self.worked & {*left} if work and work.files.get(path))

    def known(self, paths: Collection[str]) -> dict[str, frozenset[Blob]]:
        """The versions of each path that are in a commit, in a stash, or made by the update."""
        trees: list[Versions] = [self.before, self.after, *self.rescued]
        for one in (self.work, self.now):
            trees += [one.files, one.index] if one else []
        staged = {path: set(blobs.values()) for path, blobs in _stages(self.journal).items()}
        return {
            path: frozenset(
                {blob for tree in trees if (blob := tree.get(path))} | staged.get(path, set())
            )
            for path in paths
        }


def sides(workspace: Workspace, git: Git, journal: Journal) -> Sides:
    """Read every version from the repository."""
    return Sides(
        journal,
        listed(workspace, git, journal.before),
        listed(workspace, git, journal.after),
        stash.read(workspace, git, journal),
        stash.onto(workspace, git, journal),
        tuple(listed(workspace, git, one) for one in journal.rescued),
    )


def forward(sides: Sides) -> Goal:
    """The update's end, uncommitted work on top of it where that fits."""
    journal, stages = sides.journal, _stages(sides.journal)
    ignored = {*journal.ignored}
    # Work that does not fit stays in its stash: nothing of it is written.
    worked = sides.worked if sides.now else set[str]()
    files = {*sides.own, *journal.identical, *ignored, *worked}
    end = sides.now or stash.Work(sides.after, sides.after)
    staged = {**at(files, end.index), **dict.fromkeys(ignored)}
    return Goal(
        at(files, end.files),
        {path: blob for path, blob in staged.items() if path not in stages},
        stages,
        sides.own,
        sides.known(files | stages.keys()),
    )


def aside(sides: Sides) -> Goal:
    """Uncommitted work off the disk and out of the index: it is in its stash."""
    paths = sides.worked
    return Goal(
        at(paths, sides.before), at(paths, sides.before), {}, frozenset(), sides.known(paths)
    )


def backward(sides: Sides) -> Goal:
    """What was there before the update, uncommitted work included."""
    journal, stages = sides.journal, _stages(sides.journal)
    files = {*sides.own, *journal.ignored, *sides.worked}
    paths = {*files, *journal.identical, *stages}
    start = sides.work or stash.Work(sides.before, sides.before)
    return Goal(at(files, start.files), at(paths, start.index), {}, sides.own, sides.known(paths))


def _stages(journal: Journal) -> dict[str, dict[int, Blob]]:
    return {
        path: {int(number): Blob(*blob) for number, blob in versions.items()}
        for path, versions in journal.stages.items()
    }
