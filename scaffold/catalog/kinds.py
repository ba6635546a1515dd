"""The kinds of feature, and what a team chose of each.

A new kind is one line in `KINDS`: its question, the options of the commands and the checks of the
answers follow from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ChainModels = Mapping[str, Sequence[str]]
"""The name of a chain → its models, in the order they are asked."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of feature.

    Attributes:
        name: What `KIND` is on the command line.
        answer_key: The key of the answer that chooses among its features.
        many: Whether several can be chosen at once.
        builtin: The choice that needs no feature folder, if there is one.
        by_name: Whether a reader looks for its features by name: their `order` is then that of the
            rendered files alone.
    """

    name: str
    answer_key: str
    many: bool = True
    builtin: str | None = None
    by_name: bool = False

    @property
    def builtins(self) -> list[str]:
        """The choice that needs no feature folder, as a list that may be empty."""
        return [self.builtin] if self.builtin else []


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("pattern", "patterns"),
        Kind("provider", "providers"),
        Kind("search", "search"),
        Kind("engine", "engine", many=False, builtin="in_process"),
        Kind("framework", "framework", many=False, builtin="plain"),
        Kind("surface", "surfaces", builtin="cli"),
        Kind("extra", "extras", by_name=True),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What decides which features are on and which chains are used.

    The catalog needs no more of a team's answers than this, so it does not import them.

    Attributes:
        features: The names that are chosen, by kind.
        chains: The models of the chains that the team listed itself.
        agent_chains: The chains that the team's sub-agents ask.
    """

    features: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    chains: ChainModels = field(default_factory=dict[str, Sequence[str]])
    agent_chains: Sequence[str] = ()

    def names(self, kind: str) -> list[str]:
        """Return the names that are chosen of one kind."""
        return list(self.features.get(kind, ()))
