"""Checks of the names, the chosen features, and the answers to their questions."""

import re
from collections.abc import Iterator, Mapping

from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.feature import MANIFEST, Feature
from scaffold.catalog.kinds import KINDS, Kind, Selection
from scaffold.catalog.manifest import Question
from scaffold.errors import Problem, printable, suggest

MOST_NUMBER = 1e15
"""The largest number without bounds of its own: finite, and every whole one is exact as a float."""

_HINT_PACKAGE = "take another, such as my_agents"
_HINT_REQUIRES = "take it out of `requires`, or add that feature to the template"


def check_names(catalog: Catalog, spec: WorkspaceSpec, recorded: PartialSpec) -> list[Problem]:
    """Return the problems of project name, package and description.

    A recorded name stays good, although a template may come to install something of that name.
    """
    new_name = spec.project_name != recorded.project_name
    new_package = spec.package != recorded.package
    checks = {
        "project_name": (
            spec.project_name,
            names.project_problem if new_name else names.title_problem,
            "take another name",
        ),
        "package": (
            spec.package,
            names.package_problem if new_package else names.identifier_problem,
            _HINT_PACKAGE,
        ),
        "description": (spec.description, names.text_problem, "write one line of text"),
    }
    problems = [
        Problem(key, f"'{printable(value)}' {problem}", hint)
        for key, (value, check, hint) in checks.items()
        if (problem := check(value))
    ]
    # The list of taken names is as old as this release; the template may be newer.
    if new_package and not problems and spec.package in _list_requirements(catalog):
        what = f"'{spec.package}' would hide a dependency of that name"
        problems.append(Problem("package", what, _HINT_PACKAGE))
    return problems


def _list_requirements(catalog: Catalog) -> set[str]:
    """Return what the manifests install, as package names: `pydantic-ai-slim[x]>=2` and so on."""
    requirements = [
        requirement
        for feature in catalog.features
        for requirement in (*feature.dependencies, *feature.dev_dependencies)
    ]
    bare = [re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements]
    return {name.lower().replace("-", "_").replace(".", "_") for name in bare}


def check_choices(catalog: Catalog, selection: Selection) -> list[Problem]:
    """Return unknown, doubled, missing and contradictory features."""
    problems = [
        problem for kind in KINDS.values() for problem in _check_kind(catalog, selection, kind)
    ]
    if not selection.names("provider"):
        problems.append(Problem("providers", "is empty", "choose at least one"))
    for feature in catalog.list_enabled(selection):
        problems += _check_feature(catalog, selection, feature)
    return problems


def _check_kind(catalog: Catalog, selection: Selection, kind: Kind) -> Iterator[Problem]:
    known = [*kind.builtins, *(feature.name for feature in catalog.of(kind.name))]
    chosen = selection.names(kind.name)
    for name in chosen:
        if name not in known:
            what = f"unknown {kind.name} '{printable(name)}'"
            yield Problem(kind.answer_key, what, suggest(name, known))
    if len(set(chosen)) != len(chosen):
        yield Problem(kind.answer_key, "names one twice", "name each once")


def _check_feature(catalog: Catalog, selection: Selection, feature: Feature) -> Iterator[Problem]:
    """Yield what a feature that is on requires and does not have, and what it excludes."""
    on = {one.ref for one in catalog.list_enabled(selection)}
    key = KINDS[feature.kind].answer_key if feature.kind in KINDS else "patterns"
    for other in feature.requires:
        if other in KINDS and not selection.names(other):
            choices = ", ".join(one.name for one in catalog.of(other))
            hint = f"choose from {choices}" if choices else "the template has none: add one to it"
            yield Problem(KINDS[other].answer_key, f"{feature.name} needs one", hint)
        elif other not in KINDS and other not in on:
            exists = other in {known.ref for known in catalog.features}
            hint = "choose it as well" if exists else f"{feature.id}/{MANIFEST}: {_HINT_REQUIRES}"
            yield Problem(key, f"{feature.name} needs {other}", hint)
    for other in set(feature.conflicts) & on:
        yield Problem(key, f"{feature.name} and {other} exclude each other", "drop one")


def check_questions(
    catalog: Catalog, selection: Selection, settings: Mapping[str, object]
) -> list[Problem]:
    """Return answers to the enabled features' questions that have a wrong type or value."""
    return [
        Problem(key, problem, f"the default is {question.default}")
        for key, question in catalog.questions(selection).items()
        if (problem := check_setting(question, settings.get(key, question.default)))
    ]


def check_setting(question: Question, value: object) -> str | None:
    """Return what is wrong with the answer to a feature's question, or None."""
    if not question.has_type(value):
        return f"should be of type {question.type}"
    if isinstance(value, int | float) and not -MOST_NUMBER <= value <= MOST_NUMBER:
        return f"is not a number from {-MOST_NUMBER:g} to {MOST_NUMBER:g}"
    if problem := question.find_problem(value):
        return problem
    return names.text_problem(value) if isinstance(value, str) else None
