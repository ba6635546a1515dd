"""What the wizard knows so far, and what follows from an answer that changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scaffold.answers.spec import WorkspaceSpec, complete
from scaffold.catalog import economics
from scaffold.catalog.catalog import Catalogue

Preview = Callable[[WorkspaceSpec], list[str]]


@dataclass
class State:
    """The answers so far; `given` are those of the command line, which no screen resets."""

    catalogue: Catalogue
    answers: dict[str, Any]
    folder: str
    preview: Preview
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    own_agents: bool = False
    screen: str = ""

    def heading(self, part: str = "") -> str:
        """The title of the screen that is shown, or of a part of it."""
        return f"New workspace in {self.folder} · {self.screen}{f' · {part}' if part else ''}"

    def spec(self) -> WorkspaceSpec:
        """The answers checked and completed. Raises AnswersError."""
        return complete(self.catalogue, self.answers, folder_name=self.folder)

    def settle(self) -> None:
        """Let sub-agents and chains follow the patterns and providers that are chosen now."""
        if "agents" not in self.given and not self.own_agents:
            self.answers["agents"] = self.catalogue.default_agents(self.answers)
        providers: list[str] = self.answers.get("providers") or [
            feature.name for feature in self.catalogue.of("provider")
        ]
        chains: dict[str, list[str]] = self.answers.get("chains") or {}
        used = self.catalogue.chains_used({**self.answers, "chains": self.given.get("chains")})
        self.answers["chains"] = {
            name: refs
            for name, refs in chains.items()
            if name in used and {ref.partition(":")[0] for ref in refs} <= set(providers)
        }

    def chains(self) -> dict[str, list[str]]:
        """Every chain that is used now: as changed, or its default."""
        return self.catalogue.default_chains(self.answers)

    def estimate(self, chains: Mapping[str, list[str]]) -> str:
        """What 1,000 requests of a mix cost on these chains, with the mix, in one line."""
        return economics.estimate(self.catalogue, {**self.answers, "chains": chains})
