"""The choice among the features of one kind: as copier asks it, and its default."""

from collections.abc import Mapping
from typing import Any

from scaffold.catalogue import Catalogue, chosen
from scaffold.feature import KINDS, Feature, Kind


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
