"""From one render of a template to another, merged into a workspace.

What update, add and remove have in common.
"""

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from scaffold import merge
from scaffold.answers.complete import complete
from scaffold.answers.edits import Edited
from scaffold.answers.inputs import RawAnswers, read_values
from scaffold.answers.migrate import list_new_features, migrate
from scaffold.answers.parse import parse, parse_changes
from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.answers.warnings import list_warnings
from scaffold.catalog import path_rules
from scaffold.catalog.catalog import Catalogue, load
from scaffold.errors import AnswersError
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

Edit = Callable[[Catalogue, PartialSpec], Edited]
"""What `add` and `remove` do to the answers."""


@dataclass(frozen=True, slots=True)
class Step:
    """Before and after: the templates, their catalogues, and the answers to render them with."""

    workspace: Recorded
    recorded: PartialSpec
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


def plan_step(
    workspace: Recorded,
    before: Source,
    after: Source,
    changes: RawAnswers,
    edit: Edit | None = None,
) -> Step:
    """Migrate the recorded answers to `after`, then change and edit them.

    Raises:
        AnswersError: The answers do not fit together, or those that are recorded are misshapen.
    """
    old = load(before.root)
    new = old if after.root == before.root else load(after.root)
    parsed = parse(workspace.answers, old.question_keys() | new.question_keys())
    if parsed.misshapen:
        raise AnswersError(parsed.misshapen)
    answers, notes = migrate(old, new, parsed.spec, fleet.written(workspace.folder))
    changed, problems = parse_changes(changes, new.question_keys())
    answers = changed.apply(answers)
    if edit:
        answers, more = edit(new, answers)
        notes += more
    spec = complete(
        new,
        answers,
        folder_name=workspace.folder.name,
        recorded=parsed.spec,
        problems=problems,
    )
    if spec.chains != parsed.spec.chains:
        notes += list_warnings(new, spec)
    notes += list_new_features(old, new, answers)
    notes += unrendered.notes(old, parsed.spec.selection, workspace)
    return Step(workspace, parsed.spec, before, after, (old, new), spec, tuple(notes))


INTERRUPTED = 130


def to_version(options: argparse.Namespace, to: str | None) -> int:
    """Update to a version, or with `--set` alone change answers. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = read_values(options.set)
    with releases.open_template(options.template or workspace.src_path) as template:
        before = template.at(workspace.commit)
        same = workspace.commit if changes else template.newest(workspace.commit)
        after = template.at(to or same)
        return carry_out(options, plan_step(workspace, before, after, changes))


def at_same_version(options: argparse.Namespace, edit: Edit) -> int:
    """Edit the answers at the recorded version. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = read_values(options.set)
    with releases.open_template(options.template or workspace.src_path) as template:
        source = template.at(workspace.commit)
        return carry_out(options, plan_step(workspace, source, source, changes, edit))


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
    if step.idle and merge.read_progress(workspace) is None:
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
    if merge.read_progress(workspace) is None:
        raise KeyboardInterrupt
    print(
        f"\nInterrupted half-way: `{merge.format_command(workspace.folder)}` finishes it,"
        f" `{merge.format_command(workspace.folder, '--abort')}` goes back.",
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
            path_rules.Side(
                catalogue=step.catalogues[0],
                selection=step.recorded.selection,
                values=step.workspace.answers,
                folder=old,
            ),
            path_rules.Side(
                catalogue=step.catalogues[1],
                selection=step.spec.selection,
                values=answers,
                folder=new,
            ),
        )
        with (
            show_progress("Merging"),
            merge.plan(
                workspace,
                old,
                new,
                team_owned=path_rules.list_team_owned(*sides),
                # A seed nobody edited goes along with an answer that the team itself changes.
                follow=step.before.root == step.after.root,
                renames=path_rules.find_renames(*sides),
                labels=merge.Labels(theirs=names[1]),
            ) as plan,
        ):
            yield plan
