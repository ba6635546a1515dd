"""The reports of update, add and remove: what changed, and what a person must look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffold.errors import ExitStatus
from scaffold.merge import Change, ChangeKind, MergeReport, count_changes, sort_for_reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was asked for.

    Attributes:
        workspace: The folder as the user named it.
        versions: The template's version before and after.
        notes: What the user should know besides.
    """

    workspace: Path
    versions: tuple[str, str]
    answers: Mapping[str, Any]
    notes: Sequence[str]
    dry_run: bool

    def as_json(self) -> dict[str, object]:
        """Return the facts under the keys of `--json`."""
        return {
            "workspace": str(self.workspace),
            "from": self.versions[0],
            "to": self.versions[1],
            "answers": self.answers,
            "warnings": self.notes,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleReport:
    """There was nothing to do. The base of the other reports."""

    facts: Facts

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know besides."""
        return self.facts.notes

    @property
    def exit_status(self) -> ExitStatus:
        """DONE: no conflict is left."""
        return ExitStatus.DONE

    def text(self) -> str:
        """Return that nothing had to be done."""
        version = self.facts.versions[1]
        return f"Nothing to do: {self.facts.workspace} is at {version} with these answers."

    def as_json(self) -> dict[str, object]:
        """Return what was asked for, and that nothing changed."""
        return {**self.facts.as_json(), "written": False, **_files(()), "diff": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport(IdleReport):
    """A dry run: what would change."""

    changes: Sequence[Change]
    diff: str

    def text(self) -> str:
        """Return the plan, then the diff."""
        lines = [one.describe() for one in sort_for_reading(self.changes)]
        plan = "\n".join(lines) or "No file changes."
        return f"{plan}\n\n{count_changes(self.changes)}; nothing was written.\n\n{self.diff}"

    def as_json(self) -> dict[str, object]:
        """Return the plan and the diff."""
        files = _files(self.changes)
        return {**self.facts.as_json(), "written": False, **files, "diff": self.diff}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReport(IdleReport):
    """A merge that was written."""

    changes: Sequence[Change]
    written: bool
    outcome: MergeReport

    @property
    def exit_status(self) -> ExitStatus:
        """LEFT when the team has to resolve something."""
        conflict = any(one.kind is ChangeKind.CONFLICT for one in self.changes)
        return ExitStatus.LEFT if conflict else _status(self.outcome)

    def text(self) -> str:
        """Return what changed, what to look at, and the next commands."""
        old, new = self.facts.versions
        counted = count_changes(self.changes)
        parts = [f"{old} → {new}: {counted}." if old != new else f"{counted}."]
        if look_at := [one for one in sort_for_reading(self.changes) if one.needs_person]:
            parts += ["", "Look at:", "", *(one.describe(with_blob=True) for one in look_at)]
        return "\n".join([*parts, *self._commands(), *_kept_work(self.outcome)])

    def _commands(self) -> list[str]:
        if not self.written:
            return []
        commands = ["", "  git diff --staged         # what changed"]
        if any(one.path.endswith("pyproject.toml") for one in self.changes):
            commands.append("  uv sync                   # dependencies may have changed")
        return [
            *commands,
            "  uv run pytest             # then commit",
            "  scaffold update --abort   # or take it back",
        ]

    def as_json(self) -> dict[str, object]:
        """Return what changed and what is left."""
        files = _files(self.changes)
        return {
            **self.facts.as_json(),
            "written": self.written,
            **files,
            **_left(self.outcome),
        }


@dataclass(frozen=True, slots=True)
class FinishedReport:
    """An update that an earlier, killed run had begun was finished."""

    outcome: MergeReport
    notes: Sequence[str] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """What the killed run would have returned."""
        return _status(self.outcome)

    def text(self) -> str:
        """Return that it was finished, and the conflicts."""
        conflicts = [f"  {ChangeKind.CONFLICT:<11} {path}" for path in self.outcome.conflicts]
        done = "Finished what an earlier run had begun; run the command again if it was another."
        return "\n".join([done, *conflicts, *_kept_work(self.outcome)])

    def as_json(self) -> dict[str, object]:
        """Return the conflicts and what is left."""
        return {"finished": True, "conflicts": self.outcome.conflicts, **_left(self.outcome)}


@dataclass(frozen=True, slots=True)
class AbortedReport:
    """An update was taken back."""

    outcome: MergeReport
    notes: Sequence[str] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """LEFT when stashed work did not go back by itself."""
        return _status(self.outcome)

    def text(self) -> str:
        """Return what was taken back."""
        done = "Taken back: files and index are as they were before."
        if self.outcome.left:
            done = "Taken back, but for the files that were edited since."
        return "\n".join([done, *_kept_work(self.outcome)])

    def as_json(self) -> dict[str, object]:
        """Return what is left."""
        return {"aborted": True, **_left(self.outcome)}


def _status(outcome: MergeReport) -> ExitStatus:
    left = outcome.conflicts or outcome.stash or outcome.left
    return ExitStatus.LEFT if left else ExitStatus.DONE


def _files(changes: Sequence[Change]) -> dict[str, object]:
    conflicts = [one.path for one in changes if one.kind is ChangeKind.CONFLICT]
    return {"changes": [one.as_json() for one in sort_for_reading(changes)], "conflicts": conflicts}


def _left(outcome: MergeReport) -> dict[str, object]:
    """Return which work is not on disk, which files were left alone, and commands for the rest."""
    return {
        "stash": outcome.stash,
        "rescued": outcome.rescued,
        "left": outcome.left,
        "commands": outcome.commands,
    }


def _kept_work(outcome: MergeReport) -> list[str]:
    """Return where the team's uncommitted work is, line by line."""
    parts: list[str] = []
    if outcome.left:
        parts += ["", f"Edited meanwhile, so left as it is: {', '.join(outcome.left)}"]
    if outcome.stash:
        parts += ["", f"Your uncommitted work is kept in the stash: {outcome.stash}"]
    if outcome.rescued:
        parts += ["", f"What was edited meanwhile is kept in the stash: {outcome.rescued}"]
    if outcome.commands:
        parts += ["", "This brings it back:", "", *(f"  {one}" for one in outcome.commands)]
    return parts


UpdateReport = IdleReport | PlanReport | AppliedReport | FinishedReport
"""What a run of update, add or remove can end in."""
