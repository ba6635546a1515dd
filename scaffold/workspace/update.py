"""From one render of a template to another, merged into a workspace.

What update, add and remove have in common.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold import merge
from scaffold.answers.inputs import read_values
from scaffold.catalog import path_rules
from scaffold.errors import HalfDoneError
from scaffold.rendering.render import Job, render_both
from scaffold.sources import releases
from scaffold.sources.template import Template
from scaffold.system.paths import ANSWERS_FILE
from scaffold.system.progress import show_progress
from scaffold.system.signals import unwind_on_sigterm, work_folder
from scaffold.workspace import update_notes
from scaffold.workspace.files import AnswersFile, read_answers_file
from scaffold.workspace.update_answers import AnswersUpdate, Edit, update_answers
from scaffold.workspace.update_report import (
    AbortedReport,
    AppliedReport,
    Facts,
    FinishedReport,
    IdleReport,
    PlanReport,
    UpdateReport,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """What to do to a workspace.

    Attributes:
        values: `KEY=VALUE` texts, each of which replaces an answer.
        template: Where the template is now, if it has moved.
        autostash: Whether uncommitted work is put aside and back afterwards.
        edit: What `add` and `remove` do to the answers.
    """

    folder: Path
    values: Sequence[str] = ()
    template: str | None = None
    dry_run: bool = False
    autostash: bool = False
    edit: Edit | None = None


def update_workspace(request: UpdateRequest, version: str | None = None) -> UpdateReport:
    """Update to a version: the newest by default, the recorded one when answers are set.

    Raises:
        AnswersError: The recorded or the new answers do not fit the template.
        HalfDoneError: The update was interrupted after it had begun to write.
        MergeError: The repository cannot be merged into as it is.
        TemplateError: A version of the template cannot be had.
    """

    def choose(workspace: AnswersFile, template: Template) -> str:
        return version or (
            workspace.commit if request.values else template.find_newest(workspace.commit)
        )

    return _update(request, choose)


def change_workspace(request: UpdateRequest) -> UpdateReport:
    """Edit the answers at the recorded version. Raises what `update_workspace` does."""
    return _update(request, lambda workspace, _template: workspace.commit)


def abort_update(folder: Path) -> AbortedReport:
    """Take an uncommitted update back. Raises MergeError where there is none."""
    place = merge.locate(folder, ANSWERS_FILE)
    with _interruptible(place), show_progress("Taking it back"):
        return AbortedReport(merge.abort(place))


def _update(request: UpdateRequest, choose: Callable[[AnswersFile, Template], str]) -> UpdateReport:
    if not request.dry_run and (report := _finish_killed(request.folder)):
        return report
    workspace = read_answers_file(request.folder)
    changes = read_values(request.values)
    with releases.open_template(request.template or workspace.src_path) as template:
        before = template.check_out(workspace.commit)
        after = template.check_out(choose(workspace, template))
        return _carry_out(request, update_answers(workspace, before, after, changes, request.edit))


def _finish_killed(folder: Path) -> FinishedReport | None:
    """Finish what an earlier, killed run began; return None if there was none."""
    place = merge.locate(folder, ANSWERS_FILE)
    with _interruptible(place):
        outcome = merge.resume(place)
    return None if outcome is None else FinishedReport(outcome)


def _carry_out(request: UpdateRequest, update: AnswersUpdate) -> UpdateReport:
    place = merge.locate(update.workspace.folder, ANSWERS_FILE)
    facts = Facts(
        workspace=request.folder,
        versions=(update.workspace.commit, update.after.commit or update.after.src_path),
        answers=update.spec.answers(),
        notes=update.notes,
        dry_run=request.dry_run,
    )
    if update.is_idle and merge.read_progress(place) is None:
        return IdleReport(facts=facts)
    merge.require_ready(place, autostash=request.autostash or request.dry_run)
    with merge_renders(place, update) as plan:
        packages = (str(one.get("package")) for one in (update.workspace.answers, facts.answers))
        renamed = update_notes.list_old_names(plan, *packages)
        return _apply(request, replace(facts, notes=(*facts.notes, *renamed)), plan)


def _apply(request: UpdateRequest, facts: Facts, plan: merge.Plan) -> UpdateReport:
    if request.dry_run:
        return PlanReport(facts=facts, changes=plan.changes, diff=plan.diff())
    with _interruptible(plan.workspace), show_progress("Writing"):
        outcome = merge.apply(plan, autostash=request.autostash)
    return AppliedReport(
        facts=facts, changes=plan.changes, written=not plan.is_empty, outcome=outcome
    )


@contextmanager
def _interruptible(place: merge.Workspace) -> Generator[None]:
    """Turn an interrupt into HalfDoneError where something was written, else KeyboardInterrupt."""
    try:
        with unwind_on_sigterm():
            yield
    except (KeyboardInterrupt, SystemExit):
        if merge.read_progress(place) is None:
            raise KeyboardInterrupt from None
        raise HalfDoneError(
            "Interrupted half-way",
            f"`{merge.format_command(place.folder)}` finishes it,"
            f" `{merge.format_command(place.folder, '--abort')}` goes back",
        ) from None


@contextmanager
def merge_renders(place: merge.Workspace, update: AnswersUpdate) -> Generator[merge.Plan]:
    """Render before and after, and merge the difference into the team's files."""
    names = (update.workspace.commit, update.after.commit or "template")
    with work_folder() as work:
        old, new = work / "before", work / "after"
        answers = update.spec.answers()
        with show_progress(f"Rendering {' and '.join(dict.fromkeys(names))}"):
            render_both(
                Job(update.before, update.workspace.answers, old),
                Job(update.after, answers, new),
            )
        sides = (
            path_rules.Side(
                catalog=update.catalogs[0],
                selection=update.recorded.selection,
                values=update.workspace.answers,
                folder=old,
            ),
            path_rules.Side(
                catalog=update.catalogs[1],
                selection=update.spec.selection,
                values=answers,
                folder=new,
            ),
        )
        with (
            show_progress("Merging"),
            merge.plan(
                place,
                old,
                new,
                team_owned=path_rules.list_team_owned(*sides),
                # When the team itself changes an answer, files of its own that nobody edited
                # follow the answer.
                follow=update.before.root == update.after.root,
                renames=path_rules.find_renames(*sides),
                labels=merge.Labels(theirs=names[1]),
            ) as plan,
        ):
            yield plan
