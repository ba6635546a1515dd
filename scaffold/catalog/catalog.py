"""The features of a template: found, checked and sorted, and what a selection of them uses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from scaffold.catalog.core_settings import MOST_PROVIDERS
from scaffold.catalog.feature import CORE, MANIFEST, Feature, read
from scaffold.catalog.kinds import KINDS, Kind, Selection
from scaffold.catalog.manifest import TIERS, ProposedAgent, Question, Tier
from scaffold.errors import ManifestError

_TIER_OF: dict[str, Tier] = {tier: tier for tier in TIERS}


@dataclass(frozen=True)
class Catalog:
    """The features of one template; a feature that others require comes after them."""

    root: Path
    features: tuple[Feature, ...] = field(repr=False)

    @cached_property
    def core(self) -> Feature:
        """The feature that every workspace has."""
        return next(feature for feature in self.features if feature.kind == CORE)

    def of(self, kind: str) -> list[Feature]:
        """Return the features of one kind that can be chosen, in listing order."""
        visible = [one for one in self.features if one.kind == kind and not one.hidden]
        return sorted(visible, key=lambda feature: (feature.order, feature.name))

    def list_for_reading(self, kind: str) -> list[Feature]:
        """Return the features of one kind as a reader finds them.

        Those that are looked for by name: first what is on by default, then the others.
        """
        features = self.of(kind)
        if kind in KINDS and KINDS[kind].by_name:
            features.sort(key=lambda feature: (not feature.default, feature.name))
        return features

    def get(self, kind: str, name: str) -> Feature:
        """Return one feature.

        Raises:
            KeyError: The feature does not exist, or it is hidden.
        """
        for feature in self.of(kind):
            if feature.name == name:
                return feature
        raise KeyError(f"{kind}:{name}")

    def list_enabled(self, selection: Selection) -> list[Feature]:
        """Return the core, the features that are chosen, and those that they require."""
        # The order of `features` makes one pass enough: what requires a feature comes before it.
        on = [self.core]
        for feature in self.features:
            if feature.kind == CORE:
                continue
            picked = not feature.hidden and feature.name in selection.names(feature.kind)
            needed = any(feature.ref in other.requires for other in on)
            on += [feature] if picked or needed else []
        return on

    def questions(self, selection: Selection) -> dict[str, Question]:
        """Return the questions of the enabled features, by answer key."""
        return {
            key: question
            for feature in self.list_enabled(selection)
            for key, question in feature.questions.items()
        }

    def question_keys(self) -> set[str]:
        """Return the answer keys of the questions of all features, enabled or not."""
        return {key for feature in self.features for key in feature.questions}

    def default_choice(self, kind: Kind, selection: Selection | None = None) -> list[str]:
        """Return what is chosen of a kind unless the team says otherwise.

        Features that the kinds before it chose may propose others, as `selection` has them.
        """
        before = selection or Selection()
        on = kind.builtins
        if kind.many:
            on += [feature.name for feature in self.of(kind.name) if feature.default]
            for feature, names in self.proposals(kind):
                on += names if feature.name in before.names(feature.kind) else []
        return list(dict.fromkeys(on))

    def proposals(self, kind: Kind) -> list[tuple[Feature, list[str]]]:
        """Return the features that propose others of a kind, each with their names."""
        return [(f, f.proposes[kind.name]) for f in self.features if kind.name in f.proposes]

    def answer_chain(self, selection: Selection) -> str:
        """Return the chain of the plain `answer` stage: the first that an enabled feature names."""
        named = (feature.wires.answer_chain for feature in self.list_enabled(selection))
        return next((chain for chain in named if chain), self.core.stages[0].chain)

    def chains_used(self, selection: Selection) -> dict[str, Tier]:
        """Return chain name → tier of its default models, in the order they are listed."""
        names = [self.answer_chain(selection)]
        tiers: dict[str, Tier] = {}
        for feature in self.list_enabled(selection):
            # The core's own stage is the plain answer, whose chain a feature may name.
            names += [stage.chain for stage in feature.stages if feature.kind != CORE]
            names += feature.chains
            tiers |= feature.chains
        names += [*selection.agent_chains, *selection.chains]
        return {name: tiers.get(name, tier_of(name)) for name in dict.fromkeys(names)}

    def default_models(self, tier: Tier, providers: Sequence[str]) -> list[str]:
        """Return that tier of each provider, then the next higher tier of the first.

        The last one costs more, and is asked only when all providers of the tier have failed.
        """
        first_ones = [self.get("provider", name) for name in providers[:MOST_PROVIDERS]]
        models = [(one.name, one.models) for one in first_ones if one.models]
        refs = [f"{name}:{by_tier.of(tier)}" for name, by_tier in models]
        if tier != TIERS[-1] and models:
            name, by_tier = models[0]
            refs.append(f"{name}:{by_tier.of(TIERS[TIERS.index(tier) + 1])}")
        return list(dict.fromkeys(refs))

    def default_chains(self, selection: Selection) -> dict[str, list[str]]:
        """Return every chain that is used: as the team listed it, or its default."""
        providers = selection.names("provider")
        return {
            name: list(selection.chains.get(name) or self.default_models(tier, providers))
            for name, tier in self.chains_used(selection).items()
        }

    def default_agents(self, selection: Selection) -> list[ProposedAgent]:
        """Return the sub-agents that the enabled features propose."""
        return [
            agent for feature in self.list_enabled(selection) for agent in feature.default_agents
        ]


def tier_of(chain: str) -> Tier:
    """Return the tier that a chain is named after; any other chain is balanced."""
    return _TIER_OF.get(chain, "balanced")


def list_providers(refs: Iterable[str]) -> list[str]:
    """Return the providers of some `provider:model`, each once."""
    return list(dict.fromkeys(ref.partition(":")[0] for ref in refs))


def template_root() -> Path:
    """Return the template that this installation carries; in a checkout, the checkout."""
    # The wheel carries templates/ and copier.yml in `_template` (see pyproject.toml).
    packaged = Path(__file__).parents[1] / "_template"
    return packaged if packaged.is_dir() else Path(__file__).parents[2]


def load(root: Path | None = None) -> Catalog:
    """Read every manifest under `root`/templates.

    Raises:
        ManifestError: A manifest cannot be used, or two of them do not fit together.
    """
    root = root or template_root()
    features = [read(path) for path in sorted((root / "templates").glob(f"*/{MANIFEST}"))]
    if not any(feature.kind == CORE for feature in features):
        raise ManifestError(f"{root.name}/templates has no core {MANIFEST}; take another template.")
    _require_unique(features)
    kinds, levels = [CORE, *KINDS], _find_levels(features)
    features.sort(key=lambda f: (levels[f.ref], kinds.index(f.kind), f.order, f.name))
    return Catalog(root, tuple(features))


def _find_levels(features: Iterable[Feature]) -> dict[str, int]:
    """Return feature → how many steps of requirements lead to it.

    Whether a feature is on depends on those that require it, so they have to come first.
    """
    sorter = TopologicalSorter[str]()
    for feature in features:
        sorter.add(feature.ref)
        for ref in feature.requires:
            sorter.add(ref, feature.ref)
    try:
        # Raises for a circle before it hands out anything.
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ManifestError(f"Features require each other: {circle}; take one out.") from None
    levels: dict[str, int] = {}
    level = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        levels |= dict.fromkeys(ready, level)
        sorter.done(*ready)
        level += 1
    return levels


def _require_unique(features: Sequence[Feature]) -> None:
    """Refuse a feature, a question or a stage that two folders bring."""
    refs: set[str] = set()
    owners: dict[str, str] = {}
    for feature in features:
        if feature.ref in refs:
            raise ManifestError(f"{feature.ref} has two folders; remove one of them.")
        refs.add(feature.ref)
        brought = [f"Question '{key}'" for key in feature.questions]
        brought += [f"Stage '{stage.name}'" for stage in feature.stages]
        for what in brought:
            if owners.setdefault(what, feature.id) != feature.id:
                raise ManifestError(f"{what} is in {owners[what]} and {feature.id}; rename one.")
