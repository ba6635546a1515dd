"""Add a feature or sub-agent to a workspace, or remove one: an update at the same version."""

from dataclasses import dataclass, replace
from typing import Any

from scaffold.answers import edits
from scaffold.answers.defaults import AGENT_CHAIN
from scaffold.catalog.catalog import Catalogue
from scaffold.workspace import fleet_file
from scaffold.workspace.answers_file import read_answers_file
from scaffold.workspace.update import UpdateRequest, change_workspace
from scaffold.workspace.update_report import UpdateReport

Edited = tuple[dict[str, Any], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What to add.

    Attributes:
        description: For a sub-agent, the requests it is for.
        chain: For a sub-agent, the chain it asks; for a provider, the chain to join, as the last.
    """

    kind: str
    name: str
    description: str | None = None
    chain: str | None = None

    def agent(self) -> dict[str, str]:
        """Return the sub-agent, with what was not said filled in."""
        about = self.description or f"Requests about {self.name.replace('_', ' ')}"
        return {"name": self.name, "description": about, "chain": self.chain or AGENT_CHAIN}


def add_feature(request: UpdateRequest, addition: Addition) -> UpdateReport:
    """Add a feature or sub-agent. Raises AnswersError where it does not fit."""

    def edit(catalogue: Catalogue, answers: dict[str, Any]) -> Edited:
        return _add(catalogue, answers, addition)

    return change_workspace(replace(request, edit=edit))


def remove_feature(request: UpdateRequest, kind: str, name: str) -> UpdateReport:
    """Remove a feature or sub-agent. Raises AnswersError while something needs it."""

    def edit(catalogue: Catalogue, answers: dict[str, Any]) -> Edited:
        if kind == "agent":
            return edits.without_agent(catalogue, answers, name), []
        if kind == "provider":
            fleet_file.require_unused(read_answers_file(request.folder), answers, name)
        return edits.removed(catalogue, answers, kind, name)

    return change_workspace(replace(request, edit=edit))


def _add(catalogue: Catalogue, answers: dict[str, Any], addition: Addition) -> Edited:
    kind, name, chain = addition.kind, addition.name, addition.chain
    if kind == "agent":
        return edits.with_agent(answers, addition.agent()), []
    after, notes = edits.added(catalogue, answers, kind, name)
    if kind != "provider":
        return after, notes
    if chain:
        return edits.chain_with(catalogue, after, chain, name), notes
    if name in edits.providers_asked(after):
        return after, notes
    note = f"No chain asks {name} yet: name its models in fleet.toml, or add with --chain."
    return after, [*notes, note]
