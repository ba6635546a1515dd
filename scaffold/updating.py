"""From one render of a template to another, merged into a workspace.

What update, add and remove have in common.
"""

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

from scaffold import given, merge, old_names, ownership, recorded, releases, summary
from scaffold.catalogue import Catalogue
from scaffold.change import Answers
from scaffold.progress import showing
from scaffold.renders import Job, both
from scaffold.signals import sigterm_unwinds
from scaffold.step import Step, changed, worked_out
from scaffold.summary import Report
from scaffold.temporary import work_folder

INTERRUPTED = 130

Asked = Callable[[argparse.Namespace, Catalogue, Answers], tuple[Answers, list[str]]]
"""What `add` and `remove` do to a set of answers: the new ones, and notes."""


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
        step = worked_out(workspace, before, after, lambda _, old: (changed(old, changes), []))
        return carry_out(options, step)


def at_same_version(options: argparse.Namespace, asked: Asked) -> int:
    """Change the answers as `asked`, at the recorded version. Exit status 0, or 3."""
    if (status := finished(options)) is not None:
        return status
    workspace = recorded.read(options.dir)
    changes = given.values(options.set)
    with releases.opened(options.template or workspace.src_path) as template:
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
        with showing("Taking it back"), sigterm_unwinds():
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
        with sigterm_unwinds():
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
            with showing("Writing"), sigterm_unwinds():
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
