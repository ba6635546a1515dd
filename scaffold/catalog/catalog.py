"""The features there are: found, validated and sorted; and what a choice of them uses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, cast

from scaffold.catalog.feature import KINDS, MANIFEST, Feature, Kind, read
from scaffold.catalog.manifest import TIERS, Question, Tier
from scaffold.errors import ManifestError

MOST_PROVIDERS = 3
"""A default chain names at most this many providers: a longer one is a choice to make."""

Answers = Mapping[str, Any]
_TIER_OF: dict[str, Tier] = {tier: tier for tier in TIERS}


@dataclass(frozen=True)
class Catalogue:
    """The features of one template; what others require comes after them."""

    root: Path
    features: tuple[Feature, ...] = field(repr=False)

    @cached_property
    def core(self) -> Feature:
        return next(feature for feature in self.features if feature.kind == "core")

    def of(self, kind: str) -> list[Feature]:
        """The features of one kind that can be chosen, in listing order."""
        there = [one for one in self.features if one.kind == kind and not one.hidden]
        return sorted(there, key=lambda feature: (feature.order, feature.name))

    def get(self, kind: str, name: str) -> Feature:
        """One feature. Raises KeyError."""
        for feature in self.of(kind):
            if feature.name == name:
                return feature
        raise KeyError(f"{kind}:{name}")

    def enabled(self, answers: Answers) -> list[Feature]:
        """The features these answers choose and those that they require, the core first."""
        on = [self.core]
        for feature in self.features:
            if feature.kind == "core":
                continue
            picked = not feature.hidden and feature.name in chosen(answers, feature.kind)
            needed = any(feature.ref in other.requires for other in on)
            on += [feature] if picked or needed else []
        return on

    def questions(self, answers: Answers) -> dict[str, Question]:
        """The questions of the features these answers choose, by answer key."""
        return {
            key: question
            for feature in self.enabled(answers)
            for key, question in feature.questions.items()
        }

    def answer_chain(self, answers: Answers) -> str:
        """The chain of the plain `answer` stage: the first enabled feature that names one."""
        named = (feature.wires.answer_chain for feature in self.enabled(answers))
        return next((chain for chain in named if chain), self.core.stages[0].chain)

    def chains_used(self, answers: Answers) -> dict[str, Tier]:
        """Chain name → tier of its default models, in the order they are listed."""
        names = [self.answer_chain(answers)]
        tiers: dict[str, Tier] = {}
        for feature in self.enabled(answers):
            names += [s.chain for s in feature.stages if feature.kind != "core"]
            names += feature.chains
            tiers |= feature.chains
        agents: list[dict[str, str]] = answers.get("agents") or []
        names += [agent["chain"] for agent in agents]
        names += list(answers.get("chains") or {})
        return {name: tiers.get(name, tier_of(name)) for name in dict.fromkeys(names)}

    def default_models(self, tier: Tier, providers: Sequence[str]) -> list[str]:
        """That tier of each provider, then the next higher tier of the first."""
        chosen_ = [self.get("provider", name) for name in providers[:MOST_PROVIDERS]]
        refs = [f"{p.name}:{p.models.of(tier)}" for p in chosen_ if p.models]
        if tier != TIERS[-1] and chosen_ and chosen_[0].models:
            higher = TIERS[TIERS.index(tier) + 1]
            refs.append(f"{chosen_[0].name}:{chosen_[0].models.of(higher)}")
        return list(dict.fromkeys(refs))

    def default_chains(self, answers: Answers) -> dict[str, list[str]]:
        """Every chain used: as answered, or its default."""
        given: dict[str, list[str]] = answers.get("chains") or {}
        providers = list(answers.get("providers") or [])
        return {
            name: list(given.get(name) or self.default_models(tier, providers))
            for name, tier in self.chains_used(answers).items()
        }

    def default_agents(self, answers: Answers) -> list[dict[str, str]]:
        """The sub-agents that the enabled features propose."""
        return [
            agent.model_dump()
            for feature in self.enabled(answers)
            for agent in feature.default_agents
        ]


def tier_of(chain: str) -> Tier:
    """A chain that is called like a tier has it; any other is balanced."""
    return _TIER_OF.get(chain, "balanced")


def chosen(answers: Answers, kind: str) -> list[str]:
    """The names of one kind in a set of answers, as a list in any case, misshapen ones too."""
    value = answers.get(KINDS[kind].answer_key)
    names = cast(list[object], value) if isinstance(value, list) else [value]
    return [name for name in names if isinstance(name, str)]


def template_root() -> Path:
    """The template this installation carries; in a checkout, the checkout."""
    packaged = Path(__file__).parents[1] / "_template"
    return packaged if packaged.is_dir() else Path(__file__).parents[2]


def load(root: Path | None = None) -> Catalogue:
    """Read every manifest under `root`/templates. Raises ManifestError."""
    root = root or template_root()
    found = [read(path) for path in sorted((root / "templates").glob(f"*/{MANIFEST}"))]
    if not any(feature.kind == "core" for feature in found):
        raise ManifestError(
            f"{root.name}/templates has no core feature.yml; take another template."
        )
    _require_once(found)
    _unique_stages(found)
    kinds, levels = ["core", *KINDS], _levels(found)
    found.sort(key=lambda f: (levels[f.ref], kinds.index(f.kind), f.order, f.name))
    return Catalogue(root, tuple(found))


def _levels(features: Iterable[Feature]) -> dict[str, int]:
    """What is required is a level below what requires it: whether it is on depends on that."""
    sorter = TopologicalSorter[str]()
    for feature in features:
        sorter.add(feature.ref)
        for ref in feature.requires:
            sorter.add(ref, feature.ref)
    try:
        sorter.prepare()
    except CycleError as error:
        told = " -> ".join(reversed(error.args[1]))
        raise ManifestError(f"Features require each other: {told}; take one out.") from None
    levels: dict[str, int] = {}
    level = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        levels |= dict.fromkeys(ready, level)
        sorter.done(*ready)
        level += 1
    return levels


def _require_once(features: Sequence[Feature]) -> None:
    """Every feature and every question stands once."""
    refs: dict[str, Feature] = {}
    owners: dict[str, str] = {}
    for feature in features:
        if feature.ref in refs:
            raise ManifestError(f"{feature.ref} has two folders; remove one of them.")
        refs[feature.ref] = feature
        for key in feature.questions:
            if owners.setdefault(key, feature.id) != feature.id:
                raise ManifestError(
                    f"Question '{key}' is in {owners[key]} and {feature.id}; rename one."
                )


def _unique_stages(features: Iterable[Feature]) -> None:
    owner: dict[str, str] = {}
    for feature in features:
        for stage in feature.stages:
            if owner.setdefault(stage.name, feature.id) != feature.id:
                raise ManifestError(
                    f"Stage '{stage.name}' is in {owner[stage.name]} and {feature.id}; rename one."
                )


def question(catalogue: Catalogue, kind: Kind) -> dict[str, Any]:
    """The question of one kind, as copier asks it."""
    features = catalogue.of(kind.name)
    choices = {f"{f.title}: {f.summary}": f.name for f in features}
    asked: dict[str, Any] = {"type": "str", "help": f"Which {kind.answer_key}"}
    if kind.builtin:
        choices = {kind.builtin: kind.builtin, **choices}
    if not choices:
        return {"type": "yaml", "help": asked["help"], "default": "[]"}
    if kind.many:
        asked["multiselect"] = True
    asked |= {"choices": choices, "default": default_choice(catalogue, kind)}
    if proposals := _proposals(catalogue, kind):
        asked["default"] = _proposed(asked["default"], proposals)
    if needing := [f for f in catalogue.features if kind.name in f.requires]:
        asked["validator"] = "".join(_needs_one(feature, kind) for feature in needing)
    return asked


def default_choice(
    catalogue: Catalogue, kind: Kind, answers: Mapping[str, Any] | None = None
) -> str | list[str]:
    """What is chosen of a kind unless the team says otherwise, by the kinds answered before it."""
    if not kind.many:
        return kind.builtin or ""
    on = [kind.builtin] if kind.builtin else []
    on += [feature.name for feature in catalogue.of(kind.name) if feature.default]
    for feature, names in _proposals(catalogue, kind):
        on += names if feature.name in chosen(answers or {}, feature.kind) else []
    return list(dict.fromkeys(on))


def _proposals(catalogue: Catalogue, kind: Kind) -> list[tuple[Feature, list[str]]]:
    return [(f, f.proposes[kind.name]) for f in catalogue.features if kind.name in f.proposes]


def _proposed(default: list[str], proposals: list[tuple[Feature, list[str]]]) -> str:
    parts = [f"({names} if {is_chosen(feature)} else [])" for feature, names in proposals]
    return f"{{{{ ({' + '.join([str(default), *parts])}) | unique | list | to_json }}}}"


def _needs_one(feature: Feature, kind: Kind) -> str:
    missing = f"{is_chosen(feature)} and not {kind.answer_key}"
    return f"{{% if {missing} %}}{feature.name} needs a {kind.name}{{% endif %}}"


def is_chosen(feature: Feature) -> str:
    """Whether a feature is chosen, as a Jinja expression."""
    kind = KINDS[feature.kind]
    return f"'{feature.name}' {'in' if kind.many else '=='} {kind.answer_key}"
