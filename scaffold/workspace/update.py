"""From one render of a template to another, merged into a workspace.

What update, add and remove have in common.
"""

import argparse
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from scaffold import merge
from scaffold.answers import inputs as given
from scaffold.answers.edits import Answers
from scaffold.answers.migrate import carried_over, newly_offered
from scaffold.answers.spec import WorkspaceSpec, complete, known_keys, require_shape
from scaffold.answers.warnings import warnings
from scaffold.catalog import path_rules as ownership
from scaffold.catalog.catalog import Catalogue, load
from scaffold.rendering.pair import Job, both
from scaffold.sources import releases
from scaffold.sources.template import Source
from scaffold.system.progress import show_progress
from scaffold.system.signals import unwind_on_sigterm, work_folder
from scaffold.workspace import files as fleet
from scaffold.workspace import files as recorded
from scaffold.workspace import old_names, unrendered
from scaffold.workspace import update_report as summary
from scaffold.workspace.files import Recorded
from scaffold.workspace.update_report import Report

Change = Callable[[Catalogue, Answers], tuple[Answers, list[str]]]
"""What is asked for, done to a set of answers: the new ones, and notes for the user."""


@dataclass(frozen=True, slots=True)
class Step:
    """Before and after: the templates, their catalogues, and the answers to render them with."""

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


def worked_out(workspace: Recorded, before: Source, after: Source, change: Change) -> Step:
    """The recorded answers carried over to `after`, and changed. Raises AnswersError."""
    require_shape(workspace.answers)
    old = load(before.root)
    new = old if after.root == before.root else load(after.root)
    carried, notes = carried_over(old, new, workspace.answers, fleet.written(workspace.folder))
    known = known_keys(new)
    kept = {key: value for key, value in carried.items() if key in known}
    answers, more = change(new, kept)
    spec = complete(new, answers, folder_name=workspace.folder.name, recorded=workspace.answers)
    if spec.chains != workspace.answers.get("chains"):
        more = [*more, *warnings(new, spec)]
    more = [*more, *newly_offered(old, new, answers), *unrendered.notes(old, workspace)]
    return Step(workspace, before, after, (old, new), spec, (*notes, *more))


def changed(answers: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changed answers; of a map (`chains`) only the named entries, and null takes one out."""
    changed = {**answers, **changes}
    for key in changes:
        old, new = answers.get(key), changes[key]
        if isinstance(old, dict) and isinstance(new, dict):
            both_: dict[Any, Any] = {**old, **new}
            changed[key] = {name: value for name, value in both_.items() if value is not None}
    return changed


INTERRUPTED = 130

Asked = Callable[[argparse.Namespace, Catalogue, Answers], tuple[Answers, list[str]]]
"""What `add` and `remove` do to a set of answers: the new ones, and notes."""


def to_version(options: argparse.Namespace, to: str | None) -> int:
    """Update to a version, or with `--set` alone change answers. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = given.values(options.set)
    with releases.open_template(options.template or workspace.src_path) as template:
        before = template.at(workspace.commit)
        same = workspace.commit if changes else template.newest(workspace.commit)
        after = template.at(to or same)
        step = worked_out(workspace, before, after, lambda _, old: (changed(old, changes), []))
        return carry_out(options, step)


def at_same_version(options: argparse.Namespace, asked: Asked) -> int:
    """Change the answers as `asked`, at the recorded version. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = given.values(options.set)
    with releases.open_template(options.template or workspace.src_path) as template:
        source = template.at(workspace.commit)
        step = worked_out(
            workspace,
            source,
            source,
            lambda catalogue, old: asked(options, catalogue, changed(old, changes)),
        )
        return carry_out(options, step)


def abort(options: argparse.Namespace) -> int:
    """Take an uncommitted update back. Exit status 0, or 3 if stashed work is left in the stash."""
    workspace = merge.locate(options.dir)
    try:
        with show_progress("Taking it back"), unwind_on_sigterm():
            outcome = merge.abort(workspace)
    except (KeyboardInterrupt, SystemExit):
        return _interrupted(workspace)
    return summary.show_aborted(outcome, as_json=options.json)


def finished(options: argparse.Namespace) -> int | None:
    """Finish what an earlier, killed run began: its exit status, or None if there was none."""
    if options.dry_run:
        return None
    workspace = merge.locate(options.dir)
    try:
        with unwind_on_sigterm():
            outcome = merge.resume(workspace)
    except (KeyboardInterrupt, SystemExit):
        return _interrupted(workspace)
    return None if outcome is None else summary.show_finished(outcome, as_json=options.json)


def carry_out(options: argparse.Namespace, step: Step) -> int:
    """Merge and tell. Exit status 0, or 3 when conflicts are left for the team."""
    report = Report(
        options.dir,
        versions=(step.workspace.commit, step.after.commit or step.after.src_path),
        answers=step.spec.answers(),
        notes=step.notes,
        dry_run=options.dry_run,
    )
    workspace = merge.locate(step.workspace.folder)
    if step.idle and merge.progress(workspace) is None:
        return summary.show_idle(report, as_json=options.json)
    merge.require_ready(workspace, autostash=options.autostash or options.dry_run)
    with planned(workspace, step) as plan:
        names = (str(one.get("package")) for one in (step.workspace.answers, report.answers))
        report = replace(report, notes=(*report.notes, *old_names.notes(plan, *names)))
        if options.dry_run:
            return summary.show_plan(report, plan, as_json=options.json)
        try:
            with show_progress("Writing"), unwind_on_sigterm():
                outcome = merge.apply(plan, autostash=options.autostash)
        except (KeyboardInterrupt, SystemExit):
            return _interrupted(workspace)
        return summary.show(report, plan, outcome, as_json=options.json)


def _interrupted(workspace: merge.Workspace) -> int:
    if merge.progress(workspace) is None:
        raise KeyboardInterrupt
    print(
        f"\nInterrupted half-way: `{merge.command(workspace.folder)}` finishes it,"
        f" `{merge.command(workspace.folder, '--abort')}` goes back.",
        file=sys.stderr,
    )
    return INTERRUPTED


@contextmanager
def planned(workspace: merge.Workspace, step: Step) -> Generator[merge.Plan]:
    """Render before and after, and merge the difference into the team's files."""
    names = (step.workspace.commit, step.after.commit or "template")
    with work_folder() as work:
        old, new = work / "before", work / "after"
        answers = step.spec.answers()
        with show_progress(f"Rendering {' and '.join(dict.fromkeys(names))}"):
            both(Job(step.before, step.workspace.answers, old), Job(step.after, answers, new))
        sides = (
            ownership.Side(step.catalogues[0], step.workspace.answers, old),
            ownership.Side(step.catalogues[1], answers, new),
        )
        with (
            show_progress("Merging"),
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
