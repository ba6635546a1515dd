"""What is wrong with the chosen features, and with the answers to their questions."""

from collections.abc import Collection, Mapping
from typing import Any

from scaffold import names
from scaffold.catalogue import Catalogue, chosen
from scaffold.errors import Problem
from scaffold.facts import Question
from scaffold.feature import KINDS
from scaffold.problems.wording import nearest, shown

MOST_NUMBER = 1e15
"""What an answer without bounds of its own may be: no infinity, nothing a float cannot hold."""


def of_choices(
    catalogue: Catalogue, filled: Mapping[str, Any], bad: Collection[str] = ()
) -> list[Problem]:
    """Unknown, doubled, missing or contradictory features; not of keys whose shape is `bad`."""
    problems: list[Problem] = []
    for kind in KINDS.values():
        if kind.answer_key in bad:
            continue
        known = [kind.builtin] if kind.builtin else []
        known += [feature.name for feature in catalogue.of(kind.name)]
        picked = chosen(filled, kind.name)
        problems += [
            Problem(
                kind.answer_key, f"there is no {kind.name} '{shown(name)}'", nearest(name, known)
            )
            for name in picked
            if name not in known
        ]
        if len(set(picked)) != len(picked):
            problems.append(Problem(kind.answer_key, "names one twice", "name each once"))
    if "providers" not in bad and not filled["providers"]:
        problems.append(Problem("providers", "is empty", "choose at least one"))
    return problems + _together(catalogue, filled)


_ABSENT = "take it out of `requires`, or add that feature to the template"


def _together(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    on = catalogue.enabled(filled)
    ids = {feature.ref for feature in on}
    problems: list[Problem] = []
    for feature in on:
        key = KINDS[feature.kind].answer_key if feature.kind in KINDS else "patterns"
        for other in feature.requires:
            if other in KINDS and not chosen(filled, other):
                some = ", ".join(known.name for known in catalogue.of(other))
                way_out = f"choose from {some}" if some else "the template has none: add one to it"
                needed = KINDS[other].answer_key
                problems.append(Problem(needed, f"{feature.name} needs one", way_out))
            elif other not in KINDS and other not in ids:
                there = other in {known.ref for known in catalogue.features}
                way_out = "choose it as well" if there else f"{feature.id}/feature.yml: {_ABSENT}"
                problems.append(Problem(key, f"{feature.name} needs {other}", way_out))
        for other in set(feature.conflicts) & ids:
            problems.append(
                Problem(key, f"{feature.name} and {other} exclude each other", "drop one")
            )
    return problems


def of_questions(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    """Answers to features' own questions that are of the wrong type or out of bounds."""
    problems: list[Problem] = []
    for key, question in catalogue.questions(filled).items():
        if problem := question_problem(question, filled.get(key, question.default)):
            problems.append(Problem(key, f"{problem}", f"the default is {question.default}"))
    return problems


def question_problem(question: Question, value: object) -> str | None:
    """What is wrong with the answer to a feature's question, or None."""
    types: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
    }
    if not isinstance(value, types[question.type]) or (
        isinstance(value, bool) and question.type != "bool"
    ):
        return f"should be of type {question.type}"
    if question.choices and value not in question.choices:
        return f"is none of {', '.join(question.choices)}"
    if isinstance(value, int | float):
        if not -MOST_NUMBER <= value <= MOST_NUMBER:
            return f"is not a number from {-MOST_NUMBER:g} to {MOST_NUMBER:g}"
        if question.min is not None and not value >= question.min:
            return f"is less than {question.min:g}"
        if question.max is not None and not value <= question.max:
            return f"is more than {question.max:g}"
    if isinstance(value, str):
        return names.text_problem(value)
    return None
