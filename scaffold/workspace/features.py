"""Add a feature or sub-agent to a workspace, or remove one: an update at the same version."""

from dataclasses import dataclass, replace

from scaffold.answers import edits
from scaffold.answers.edits import Edited
from scaffold.answers.spec import Agent, PartialSpec
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.workspace import files
from scaffold.workspace.files import read_answers_file
from scaffold.workspace.update import UpdateRequest, change_workspace
from scaffold.workspace.update_report import UpdateReport


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

    def agent(self) -> Agent:
        """Return the sub-agent, with what was left out filled in."""
        description = self.description or f"Requests about {self.name.replace('_', ' ')}"
        return Agent(name=self.name, description=description, chain=self.chain or AGENT_CHAIN)


def add_feature(request: UpdateRequest, addition: Addition) -> UpdateReport:
    """Add a feature or sub-agent. Raises AnswersError where it does not fit."""

    def edit(catalog: Catalog, answers: PartialSpec) -> Edited:
        return _add(catalog, answers, addition)

    return change_workspace(replace(request, edit=edit))


def remove_feature(request: UpdateRequest, kind: str, name: str) -> UpdateReport:
    """Remove a feature or sub-agent. Raises AnswersError while something needs it."""

    def edit(catalog: Catalog, answers: PartialSpec) -> Edited:
        if kind == "agent":
            return edits.remove_agent(catalog, answers, name), []
        if kind == "provider":
            workspace = read_answers_file(request.folder)
            files.require_unused(workspace, answers.chains or {}, name)
        return edits.remove_feature(catalog, answers, kind, name)

    return change_workspace(replace(request, edit=edit))


def _add(catalog: Catalog, answers: PartialSpec, addition: Addition) -> Edited:
    kind, name, chain = addition.kind, addition.name, addition.chain
    if kind == "agent":
        return edits.add_agent(answers, addition.agent()), []
    after, notes = edits.add_feature(catalog, answers, kind, name)
    if kind != "provider":
        return after, notes
    if chain:
        return edits.extend_chain(catalog, after, chain, name), notes
    if name in edits.list_asked_providers(after):
        return after, notes
    note = f"No chain asks {name} yet: name its models in fleet.toml, or add with --chain."
    return after, [*notes, note]
