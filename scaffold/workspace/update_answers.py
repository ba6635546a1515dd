"""Update the answers of a workspace: to another version of its template, and as a team asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scaffold.answers.complete import complete
from scaffold.answers.edits import Edited
from scaffold.answers.inputs import RawAnswers
from scaffold.answers.migrate import list_new_features, migrate
from scaffold.answers.parse import parse, parse_changes
from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.answers.warnings import list_warnings
from scaffold.catalog.catalog import Catalog, load
from scaffold.errors import AnswersError
from scaffold.sources.template import Source
from scaffold.workspace import files, update_notes
from scaffold.workspace.files import AnswersFile

Edit = Callable[[Catalog, PartialSpec], Edited]
"""What `add` and `remove` do to the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersUpdate:
    """What an update renders before and after: both templates, and the answers to each."""

    workspace: AnswersFile
    recorded: PartialSpec
    before: Source
    after: Source
    catalogs: tuple[Catalog, Catalog]
    spec: WorkspaceSpec
    notes: Sequence[str]

    @property
    def is_idle(self) -> bool:
        """Whether version, template and answers all stay as they are."""
        same = self.workspace.commit == self.after.commit
        moved = self.workspace.src_path != self.after.src_path
        return same and not moved and self.spec.answers() == self.workspace.answers


def update_answers(
    workspace: AnswersFile,
    before: Source,
    after: Source,
    changes: RawAnswers,
    edit: Edit | None = None,
) -> AnswersUpdate:
    """Migrate the recorded answers to `after`, then change and edit them.

    Raises:
        AnswersError: The answers do not fit together, or those that are recorded are misshapen.
    """
    old = load(before.root)
    new = old if after.root == before.root else load(after.root)
    parsed = parse(workspace.answers, old.question_keys() | new.question_keys())
    if parsed.misshapen:
        raise AnswersError(parsed.misshapen)
    chains = files.read_chains(workspace.folder)
    answers, notes = migrate(old, new, parsed.spec, chains)
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
    notes += update_notes.list_absent_features(old, parsed.spec.selection, workspace)
    return AnswersUpdate(
        workspace=workspace,
        recorded=parsed.spec,
        before=before,
        after=after,
        catalogs=(old, new),
        spec=spec,
        notes=notes,
    )
