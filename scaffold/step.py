"""One change of a workspace, worked out: from a version and answers to a version and answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scaffold import fleet, unrendered
from scaffold.answers import WorkspaceSpec, complete, known_keys, require_shape
from scaffold.carryover import carried_over, newly_offered
from scaffold.catalogue import Catalogue, load
from scaffold.change import Answers
from scaffold.doubts import warnings
from scaffold.recorded import Recorded
from scaffold.template import Source

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
