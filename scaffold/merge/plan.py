"""The plan of a merge: every file that changes, and what a person must look at."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scaffold.merge.workspace import Workspace


class ChangeKind(StrEnum):
    """What happens to a file. Only `conflict` and `suggestion` ask for a person."""

    UPDATED = "updated"  # the team had not edited it: it is now as the template has it
    MERGED = "merged"  # both changed it: both changes are in it
    CONFLICT = "conflict"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"  # `was` is its old path
    KEPT = "kept"  # the team changed or deleted it, and it stays so
    SUGGESTION = "suggestion"  # team-owned: unchanged, the template has a newer seed


@dataclass(frozen=True, slots=True)
class Change:
    """One file: relative path, old path if it moved, and for a conflict its kind and advice.

    `conflict` is one of content, dropped, deleted, both-added, moved, type, binary, in-the-way.
    `blob` is the template's version as an object of the repository once the plan is applied
    (`git show BLOB`), for suggestions and conflicts.
    """

    kind: ChangeKind
    path: str
    was: str | None = None
    conflict: str | None = None
    advice: str = ""
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """The names in conflict markers; spaces become dashes."""

    ours: str = "yours"
    theirs: str = "template"


@dataclass(frozen=True, slots=True)
class Plan:
    """A merge worked out, in a temporary object directory; usable until its block ends."""

    workspace: Workspace
    changes: tuple[Change, ...]

    @property
    def conflicts(self) -> tuple[Change, ...]:
        return tuple(one for one in self.changes if one.kind is ChangeKind.CONFLICT)

    @property
    def empty(self) -> bool:
        """Whether applying it would change no file (suggestions and kept files change none)."""
        raise NotImplementedError

    def diff(self) -> str:
        """The workspace's files before and after, as `git diff` shows them, conflict markers included."""
        raise NotImplementedError


@contextmanager
def plan(
    workspace: Workspace,
    before: Path,
    after: Path,
    *,
    team_owned: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    labels: Labels = Labels(),
    always: Sequence[str] = (".copier-answers.yml",),
) -> Generator[Plan]:
    """Merge the change from `before` to `after` into the last commit; writes nothing.

    `team_owned`: files or folders, or patterns (`*`), as in `before` or `after`: content is never
    changed. `renames`: old path → new path of files or folders the template moved (a package's
    folder as well). `always`: files taken from `after` whatever the team did to them.
    Raises MergeError, ToolError.
    """
    raise NotImplementedError
    yield


def compare(workspace: Workspace, before: Path) -> tuple[tuple[Change, ...], str]:
    """What the team's files (uncommitted and untracked ones too) changed against a render of their template.

    Changes are `updated`, `added`, `removed` or `renamed` seen from the team's side; then the diff's text.
    """
    raise NotImplementedError
