"""Plan an update: which versions of the template, and which answers to render them with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaffold.answers.migrate import carried_over, newly_offered
from scaffold.answers.spec import WorkspaceSpec, complete, known_keys, require_shape
from scaffold.answers.warnings import warnings
from scaffold.catalog.catalog import Catalogue, load
from scaffold.sources.template import Source
from scaffold.workspace import fleet_file, update_notes
from scaffold.workspace.answers_file import AnswersFile

Answers = dict[str, Any]
Edit = Callable[[Catalogue, Answers], tuple[Answers, list[str]]]
"""A change of the answers: the new ones, and notes for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlan:
    """Before and after: the templates, their catalogues, and the answers to render them with."""

    workspace: AnswersFile
    before: Source
    after: Source
    catalogues: tuple[Catalogue, Catalogue]
    spec: WorkspaceSpec
    notes: Sequence[str]

    @property
    def is_idle(self) -> bool:
        """Whether version, template and answers all stay as they are."""
        same = self.workspace.commit == self.after.commit
        moved = self.workspace.src_path != self.after.src_path
        return same and not moved and self.spec.answers() == self.workspace.answers


def plan_update(workspace: AnswersFile, before: Source, after: Source, edit: Edit) -> UpdatePlan:
    """Migrate the recorded answers to `after` and edit them. Raises AnswersError."""
    require_shape(workspace.answers)
    old = load(before.root)
    new = old if after.root == before.root else load(after.root)
    chains = fleet_file.read_chains(workspace.folder)
    migrated, notes = carried_over(old, new, workspace.answers, chains)
    known = known_keys(new)
    kept = {key: value for key, value in migrated.items() if key in known}
    answers, more = edit(new, kept)
    spec = complete(new, answers, folder_name=workspace.folder.name, recorded=workspace.answers)
    if spec.chains != workspace.answers.get("chains"):
        more = [*more, *warnings(new, spec)]
    more = [*more, *newly_offered(old, new, answers)]
    absent = update_notes.list_absent_features(old, workspace)
    return UpdatePlan(
        workspace=workspace,
        before=before,
        after=after,
        catalogues=(old, new),
        spec=spec,
        notes=(*notes, *more, *absent),
    )


def replace_answers(answers: Mapping[str, Any], changes: Mapping[str, Any]) -> Answers:
    """Return changed answers; of a map (`chains`) only the named entries, and null takes one out."""
    replaced = {**answers, **changes}
    for key in changes:
        old, new = answers.get(key), changes[key]
        if isinstance(old, dict) and isinstance(new, dict):
            both: dict[Any, Any] = {**old, **new}
            replaced[key] = {name: value for name, value in both.items() if value is not None}
    return replaced
