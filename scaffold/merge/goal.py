"""What an update wants on disk and in the index: at its end, or after it was taken back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scaffold.merge import stash
from scaffold.merge.journal import Journal
from scaffold.merge.repository import Git, Workspace
from scaffold.merge.scratch import Blob
from scaffold.merge.three_way import Stages
from scaffold.merge.worktree import Versions, find_differing, list_tree, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What files, and the index, shall be; by path from the repository's root.

    `own` paths are the update's: what was edited there is rescued and written over. Elsewhere
    what was edited stays. `known` are the versions that git has, or will have on disk.
    """

    files: Versions
    staged: Versions
    stages: Mapping[str, Stages]
    own: frozenset[str]
    known: Mapping[str, frozenset[Blob]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVersions:
    """Every version of the workspace's files that an update knows.

    `work` is the uncommitted work put aside, `work_on_top` the same on top of the update, None
    if there is not any or it does not fit. `rescued` are files that were edited meanwhile.
    """

    journal: Journal
    before: Versions
    after: Versions
    work: stash.Work | None
    work_on_top: stash.Work | None
    rescued: tuple[Versions, ...]

    @property
    def own(self) -> frozenset[str]:
        """The paths that the update itself changes on disk."""
        spared = {*self.journal.identical, *self.journal.ignored}
        return frozenset(find_differing(self.before, self.after) - spared)

    @property
    def worked_on(self) -> set[str]:
        """The paths of uncommitted work."""
        work = self.work
        return find_differing(self.before, work.files, work.index) if work else set()

    def find_stashed(self, left: Collection[str]) -> list[str]:
        """Return the files among those left as they are of which the stash has another version."""
        work = self.work
        return sorted(path for path in self.worked_on & {*left} if work and work.files.get(path))

    def at(self, paths: Collection[str]) -> dict[str, frozenset[Blob]]:
        """Return each path's versions that are in a commit, in a stash, or from the update."""
        trees: list[Versions] = [self.before, self.after, *self.rescued]
        for work in (self.work, self.work_on_top):
            trees += [work.files, work.index] if work else []
        staged = {path: set(blobs.values()) for path, blobs in _read_stages(self.journal).items()}
        return {
            path: frozenset(
                {blob for tree in trees if (blob := tree.get(path))} | staged.get(path, set())
            )
            for path in paths
        }


def read_known(workspace: Workspace, git: Git, journal: Journal) -> KnownVersions:
    """Read every version from the repository."""
    return KnownVersions(
        journal=journal,
        before=list_tree(workspace, git, journal.before),
        after=list_tree(workspace, git, journal.after),
        work=stash.read(workspace, git, journal),
        work_on_top=stash.read_on_top(workspace, git, journal),
        rescued=tuple(list_tree(workspace, git, one) for one in journal.rescued),
    )


def aim_forward(known: KnownVersions) -> Goal:
    """Return the update's end, uncommitted work on top of it where that fits."""
    journal, stages = known.journal, _read_stages(known.journal)
    ignored = {*journal.ignored}
    # Work that does not fit stays in its stash: nothing of it is written.
    worked_on = known.worked_on if known.work_on_top else set[str]()
    paths = {*known.own, *journal.identical, *ignored, *worked_on}
    end = known.work_on_top or stash.Work(known.after, known.after)
    # What git ignores is on the disk alone.
    staged = {**select(paths, end.index), **dict.fromkeys(ignored)}
    return Goal(
        files=select(paths, end.files),
        staged={path: blob for path, blob in staged.items() if path not in stages},
        stages=stages,
        own=known.own,
        known=known.at(paths | stages.keys()),
    )


def aim_without_work(known: KnownVersions) -> Goal:
    """Return uncommitted work off the disk and out of the index: it is in its stash."""
    paths = known.worked_on
    before = select(paths, known.before)
    return Goal(files=before, staged=before, stages={}, own=frozenset(), known=known.at(paths))


def aim_backward(known: KnownVersions) -> Goal:
    """Return what was there before the update, uncommitted work included."""
    journal, stages = known.journal, _read_stages(known.journal)
    files = {*known.own, *journal.ignored, *known.worked_on}
    paths = {*files, *journal.identical, *stages}
    start = known.work or stash.Work(known.before, known.before)
    return Goal(
        files=select(files, start.files),
        staged=select(paths, start.index),
        stages={},
        own=known.own,
        known=known.at(paths),
    )


def _read_stages(journal: Journal) -> dict[str, dict[int, Blob]]:
    return {
        path: {int(number): Blob(*blob) for number, blob in versions.items()}
        for path, versions in journal.stages.items()
    }
