"""From one render of a template to another, merged into a workspace.

What update, add and remove have in common.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffold import given, merge, ownership, recorded, releases, summary
from scaffold.answers import WorkspaceSpec, complete, known_keys, require_shape, warnings
from scaffold.catalogue import Catalogue, load
from scaffold.change import carried_over
from scaffold.progress import showing
from scaffold.recorded import Recorded
from scaffold.renders import Job, both
from scaffold.summary import Report
from scaffold.template import Source

INTERRUPTED = 130

Asked = Callable[[argparse.Namespace, Catalogue, dict[str, Any]], tuple[dict[str, Any], list[str]]]
"""What `add` and `remove` do to a set of answers: the new ones, and notes."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change worked out: from a version and answers to a version and answers."""

    workspace: Recorded
    before: Source
    after: Source
    catalogues: tuple[Catalogue, Catalogue]
    spec: WorkspaceSpec
    notes: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether version, template and answers all stay as they are."""
        same = self.workspace.commit == self.after.commit
        moved = self.workspace.src_path != self.after.src_path
        return same and not moved and self.spec.answers() == self.workspace.answers


def to_version(options: argparse.Namespace, to: str | None) -> int:
    """Update to a version, or with `--set` alone change answers. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = given.values(options.set)
    with releases.opened(options.template or workspace.src_path) as template:
        before = template.at(workspace.commit)
        same = workspace.commit if changes else template.newest(workspace.commit)
        after = template.at(to or same)
        return carry_out(options, step(workspace, before, after, changes))


def at_same_version(options: argparse.Namespace, asked: Asked) -> int:
    """Change the answers as `asked`, at the recorded version. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    with releases.opened(options.template or workspace.src_path) as template:
        source = template.at(workspace.commit)
        require_shape(workspace.answers)
        answers = changed(workspace.answers, given.values(options.set))
        answers, notes = asked(options, load(source.root), answers)
        return carry_out(options, step(workspace, source, source, answers), notes)


def abort(options: argparse.Namespace) -> int:
    """Take an uncommitted update back. Exit status 0, or 3 if stashed work is left in the stash."""
    with showing("Taking it back"):
        outcome = merge.abort(merge.locate(options.dir))
    return summary.show_aborted(outcome, as_json=options.json)


def step(workspace: Recorded, before: Source, after: Source, changes: Mapping[str, Any]) -> Step:
    """Work out the answers after: the recorded ones with `changes`. Raises AnswersError."""
    require_shape(workspace.answers)
    old = load(before.root)
    new = old if after.root == before.root else load(after.root)
    carried, notes = carried_over(old, new, workspace.answers)
    known = known_keys(new)
    kept = {key: value for key, value in carried.items() if key in known}
    spec = complete(new, changed(kept, changes), folder_name=workspace.folder.name)
    if spec.chains != workspace.answers.get("chains"):
        notes += warnings(new, spec)
    return Step(workspace, before, after, (old, new), spec, tuple(notes))


def changed(answers: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changed answers; of a map (`chains`) only the named entries, and null takes one out."""
    changed = {**answers, **changes}
    for key in changes:
        old, new = answers.get(key), changes[key]
        if isinstance(old, dict) and isinstance(new, dict):
            both_: dict[Any, Any] = {**old, **new}
            changed[key] = {name: value for name, value in both_.items() if value is not None}
    return changed


def finished(options: argparse.Namespace) -> int | None:
    """Finish what an earlier, killed run began: its exit status, or None if there was none."""
    outcome = merge.resume(merge.locate(options.dir))
    return None if outcome is None else summary.show_finished(outcome, as_json=options.json)


def carry_out(options: argparse.Namespace, step: Step, notes: Sequence[str] = ()) -> int:
    """Merge and tell. Exit status 0, or 3 when conflicts are left for the team."""
    report = Report(
        options.dir,
        versions=(step.workspace.commit, step.after.commit or step.after.src_path),
        answers=step.spec.answers(),
        notes=(*step.notes, *notes),
        dry_run=options.dry_run,
    )
    workspace = merge.locate(step.workspace.folder)
    if step.idle and merge.progress(workspace) is None:
        return summary.show_idle(report, as_json=options.json)
    merge.require_ready(workspace, autostash=options.autostash or options.dry_run)
    with planned(workspace, step) as plan:
        if options.dry_run:
            return summary.show_plan(report, plan, as_json=options.json)
        try:
            with showing("Writing"):
                outcome = merge.apply(plan, autostash=options.autostash)
        except KeyboardInterrupt:
            return _interrupted(workspace)
        return summary.show(report, plan, outcome, as_json=options.json)


def _interrupted(workspace: merge.Workspace) -> int:
    if merge.progress(workspace) is None:
        raise KeyboardInterrupt
    print(
        "\nInterrupted half-way: `scaffold update` finishes it, `scaffold update --abort` goes back.",
        file=sys.stderr,
    )
    return INTERRUPTED


@contextmanager
def planned(workspace: merge.Workspace, step: Step) -> Generator[merge.Plan]:
    """Render before and after, and merge the difference into the team's files."""
    names = (step.workspace.commit, step.after.commit or "template")
    with tempfile.TemporaryDirectory(prefix="scaffold-") as work:
        old, new = Path(work, "before"), Path(work, "after")
        answers = step.spec.answers()
        with showing(f"Rendering {' and '.join(dict.fromkeys(names))}"):
            both(Job(step.before, step.workspace.answers, old), Job(step.after, answers, new))
        sides = (
            ownership.Side(step.catalogues[0], step.workspace.answers, old),
            ownership.Side(step.catalogues[1], answers, new),
        )
        with (
            showing("Merging"),
            merge.plan(
                workspace,
                old,
                new,
                team_owned=ownership.team_owned(*sides),
                # A seed nobody edited goes along with an answer that the team itself changes.
                follow=step.before.root == step.after.root,
                renames=ownership.renames(*sides),
                labels=merge.Labels(theirs=names[1]),
            ) as plan,
        ):
            yield plan
