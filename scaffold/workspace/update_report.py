"""What update, add and remove say: which files change, and what a person must look at."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold.merge import Change, ChangeKind, MergeReport, Plan

_ORDER = tuple(ChangeKind)
_ADVICE = {
    ChangeKind.KEPT: "as you have it",
    ChangeKind.SUGGESTION: "yours is untouched; the template has a newer one",
}


def lines(changes: Iterable[Change], *, blobs: bool = False) -> list[str]:
    """A line per file, what asks for a person among them last."""
    return [_line(one, blobs) for one in sorted(changes, key=_place)]


def _place(change: Change) -> tuple[int, str]:
    return _ORDER.index(change.kind), change.path


def _line(change: Change, with_blob: bool) -> str:
    moved = f"{change.was} → {change.path}" if change.was else change.path
    advice = _ADVICE.get(change.kind) or change.advice
    if with_blob and change.blob and change.kind is ChangeKind.SUGGESTION:
        advice = f"{advice}: git show {change.blob[:12]}"
    return f"  {change.kind:<11} {moved}{f'  ({advice})' if advice else ''}"


def counted(changes: Iterable[Change]) -> str:
    """How many files of each kind, in one line."""
    counts = Counter(one.kind for one in changes)
    return (
        ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind]) or "no file changes"
    )


def rows(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """The changes as JSON."""
    return [
        {
            "path": one.path,
            "status": str(one.kind),
            "was": one.was,
            "conflict": one.conflict,
            "advice": one.advice,
            "blob": one.blob,
        }
        for one in sorted(changes, key=_place)
    ]


CONFLICTS_LEFT = 3
_LOOK_AT = (ChangeKind.CONFLICT, ChangeKind.SUGGESTION)


def _asks(change: Change) -> bool:
    """Whether a person has to know of a file: a decision, a newer seed, a file git does not take."""
    return change.kind in _LOOK_AT or bool(change.kind is ChangeKind.ADDED and change.advice)


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked: the workspace as it was named, versions before and after, the answers."""

    workspace: Path
    versions: tuple[str, str]
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    def as_json(self, **more: object) -> str:
        """One object: these facts and what came of it."""
        told = {
            "workspace": str(self.workspace),
            "from": self.versions[0],
            "to": self.versions[1],
            "answers": self.answers,
            "warnings": self.notes,
            "dry_run": self.dry_run,
        }
        return json.dumps(told | more, ensure_ascii=False)


def show_idle(report: Report, *, as_json: bool) -> int:
    """Nothing to do. Exit status 0."""
    if as_json:
        print(report.as_json(written=False, changes=[], conflicts=[], diff=""))
        return 0
    _notes(report)
    print(f"Nothing to do: {report.workspace} is at {report.versions[1]} with these answers.")
    return 0


def show_plan(report: Report, plan: Plan, *, as_json: bool) -> int:
    """A dry run: the plan, then the diff. Exit status 0: no conflict is left by it."""
    if as_json:
        print(report.as_json(written=False, **_files(plan), diff=plan.diff()))
        return 0
    _notes(report)
    print("\n".join(lines(plan.changes)) or "No file changes.")
    print(f"\n{counted(plan.changes)}; nothing was written.\n")
    sys.stdout.write(plan.diff())
    return 0


def show(report: Report, plan: Plan, outcome: MergeReport, *, as_json: bool) -> int:
    """What was done. Exit status 0, or 3 when something is left for the team to put together."""
    if as_json:
        print(report.as_json(written=not plan.is_empty, **_files(plan), **_left(outcome)))
    else:
        _notes(report)
        _show_text(report, plan)
        _show_stashes(outcome)
    return CONFLICTS_LEFT if plan.conflicts else status(outcome)


def show_finished(outcome: MergeReport, *, as_json: bool) -> int:
    """An update that had been killed was finished. Exit status as it would have had."""
    if as_json:
        told = {"finished": True, "conflicts": outcome.conflicts}
        print(json.dumps(told | _left(outcome)))
    else:
        print("Finished what an earlier run had begun; run the command again if it was another.")
        print("\n".join(f"  {ChangeKind.CONFLICT:<11} {path}" for path in outcome.conflicts))
        _show_stashes(outcome)
    return status(outcome)


def show_aborted(outcome: MergeReport, *, as_json: bool) -> int:
    """An update was taken back. Exit status 0, or 3 when stashed work did not go back by itself."""
    if as_json:
        print(json.dumps({"aborted": True} | _left(outcome)))
    else:
        if outcome.left:
            print("Taken back, but for the files that were edited since.")
        else:
            print("Taken back: files and index are as they were before.")
        _show_stashes(outcome)
    return status(outcome)


def status(outcome: MergeReport) -> int:
    """3 when conflicts, or uncommitted work that did not go back by itself, are left."""
    return CONFLICTS_LEFT if outcome.conflicts or outcome.stash or outcome.left else 0


def _show_text(report: Report, plan: Plan) -> None:
    old, new = report.versions
    print(f"{old} → {new}: {counted(plan.changes)}." if old != new else f"{counted(plan.changes)}.")
    if look_at := [one for one in plan.changes if _asks(one)]:
        print("\nLook at:\n")
        print("\n".join(lines(look_at, blobs=True)))
    if plan.is_empty:
        return
    print("\n  git diff --staged         # what changed")
    if any(one.path.endswith("pyproject.toml") for one in plan.changes):
        print("  uv sync                   # dependencies may have changed")
    print("  uv run pytest             # then commit")
    print("  scaffold update --abort   # or take it back")


def _files(plan: Plan) -> dict[str, object]:
    conflicts = [one.path for one in plan.conflicts]
    return {"changes": rows(plan.changes), "conflicts": conflicts}


def _left(outcome: MergeReport) -> dict[str, object]:
    """What is not on disk, what was left alone, and the commands that bring the rest back."""
    told = {"stash": outcome.stash, "rescued": outcome.rescued}
    return {**told, "left": outcome.left, "commands": outcome.commands}


def _show_stashes(outcome: MergeReport) -> None:
    if outcome.left:
        print(f"\nEdited meanwhile, so left as it is: {', '.join(outcome.left)}")
    if outcome.stash:
        print(f"\nYour uncommitted work is kept in the stash: {outcome.stash}")
    if outcome.rescued:
        print(f"\nWhat was edited meanwhile is kept in the stash: {outcome.rescued}")
    if outcome.commands:
        print("\nThis brings it back:\n")
        print("\n".join(f"  {command}" for command in outcome.commands))


def _notes(report: Report) -> None:
    for note in report.notes:
        print(f"Note: {note}", file=sys.stderr)
