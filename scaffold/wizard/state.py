"""What the wizard knows so far, and what follows from an answer that changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scaffold.answers.complete import complete, propose_agents
from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.catalog.catalog import Catalog, list_providers
from scaffold.catalog.estimate import describe_estimate
from scaffold.catalog.kinds import KINDS, ChainModels, Kind

Preview = Callable[[WorkspaceSpec], list[str]]
"""Returns the files that a workspace would have."""


@dataclass(kw_only=True)
class State:
    """The answers so far.

    Attributes:
        catalog: What can be chosen.
        given: The answers of the command line, which no screen resets.
        answers: Those, and what the screens have asked.
        folder: The name of the workspace's folder.
        preview: Lists the files of the workspace.
        own_agents: Whether the user changed the sub-agents, so that they are kept.
        screen: Which screen is shown, for its title.
    """

    catalog: Catalog
    given: PartialSpec
    answers: PartialSpec
    folder: str
    preview: Preview
    own_agents: bool = False
    screen: str = ""

    def answer(self, **answers: object) -> None:
        """Take some answers."""
        self.answers = self.answers.replace(**answers)

    def choose(self, kind: Kind, names: Sequence[str]) -> None:
        """Take the names that are chosen of a kind."""
        self.answers = self.answers.choose(kind.name, names)

    def set_setting(self, key: str, value: object) -> None:
        """Take the answer to a question of a feature."""
        self.answer(settings={**self.answers.settings, key: value})

    def list_chosen(self, kind: str) -> list[str]:
        """Return what is chosen of a kind, or what would be by default."""
        default = self.catalog.default_choice(KINDS[kind], self.answers.selection)
        return self.answers.list_chosen().get(kind, default)

    def heading(self, part: str = "") -> str:
        """Return the title of the screen that is shown, or of a part of it."""
        return f"New workspace in {self.folder} · {self.screen}{f' · {part}' if part else ''}"

    def spec(self) -> WorkspaceSpec:
        """Return the answers, checked and completed.

        Raises:
            AnswersError: They do not fit together.
        """
        return complete(self.catalog, self.answers, folder_name=self.folder)

    def settle(self) -> None:
        """Let sub-agents and chains follow the patterns and providers that are chosen now."""
        if self.given.agents is None and not self.own_agents:
            self.answer(agents=propose_agents(self.catalog, self.answers.selection))
        providers = self.answers.providers or [one.name for one in self.catalog.of("provider")]
        # A chain that only an earlier choice used goes; one of the command line stays.
        selection = replace(self.answers.selection, chains=self.given.chains or {})
        used = self.catalog.chains_used(selection)
        kept = {
            name: refs
            for name, refs in (self.answers.chains or {}).items()
            if name in used and {*list_providers(refs)} <= set(providers)
        }
        self.answer(chains=kept)

    def chains(self) -> dict[str, list[str]]:
        """Return every chain that is used now: as changed, or its default."""
        return self.catalog.default_chains(self.answers.selection)

    def describe_estimate(self, chains: ChainModels) -> str:
        """Return what 1,000 requests of a mix cost on these chains, in one line."""
        return describe_estimate(self.catalog, replace(self.answers.selection, chains=chains))
