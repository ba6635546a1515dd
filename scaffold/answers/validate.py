"""What is wrong with the chosen features, and with the answers to their questions."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from scaffold.answers.validate_fleet import of_agent_chains, of_agents, of_chains
from scaffold.catalog import names
from scaffold.catalog.catalog import Catalogue, chosen
from scaffold.catalog.feature import KINDS
from scaffold.catalog.manifest import Question
from scaffold.errors import Problem, printable, suggest

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
                kind.answer_key,
                f"there is no {kind.name} '{printable(name)}'",
                suggest(name, known),
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


def of_names(
    catalogue: Catalogue, filled: Mapping[str, Any], recorded: Mapping[str, Any]
) -> list[Problem]:
    """The problems of project name, package and description.

    A recorded name stays: what is taken grows with every dependency that comes to a template.
    """
    new = {key for key, value in filled.items() if value != recorded.get(key)}
    named = names.project_problem if "project_name" in new else names.title_problem
    packaged = names.package_problem if "package" in new else names.identifier_problem
    checks = {
        "project_name": (named, "take another name"),
        "package": (packaged, "take another, such as my_agents"),
        "description": (names.text_problem, "write one line of text"),
    }
    found = [
        Problem(key, f"'{printable(filled[key])}' {problem}", way_out)
        for key, (check, way_out) in checks.items()
        if key in filled and (problem := check(filled[key]))
    ]
    if "package" in new and not found and filled["package"] in _needed(catalogue):
        told = f"'{filled['package']}' would hide a dependency of that name"
        found.append(Problem("package", told, "take another, such as my_agents"))
    return found


def _needed(catalogue: Catalogue) -> set[str]:
    """What the manifests name, as packages are called: `pydantic-ai-slim[x]>=2` is pydantic_ai_slim."""
    wanted = [
        requirement
        for feature in catalogue.features
        for requirement in (*feature.dependencies, *feature.dev_dependencies)
    ]
    bare = [re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in wanted]
    return {name.lower().replace("-", "_").replace(".", "_") for name in bare}


_FORMS = {
    "agents": "write a list such as [{name: billing, description: Invoices, chain: cheap}]",
    "chains": "write a mapping such as {cheap: [openai:gpt-6-luna]}",
    "quality_threshold": "write a number from 0 to 1",
    "monthly_budget_usd": "write US dollars, 0 for no budget",
    **dict.fromkeys(("project_name", "package", "description"), "write it in quotes"),
    **{
        kind.answer_key: "write a list of names" if kind.many else "write one name"
        for kind in KINDS.values()
    },
}

_WORDS = {
    " a valid dictionary or instance of agent": " a mapping",
    " a valid dictionary": " a mapping",
    " a valid string": " text",
    " a valid": " a",
    "extra inputs are not permitted": "is not a key of a sub-agent",
    "field required": "is missing",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""What pydantic says, in words that are not its own."""


def of_shape(error: ValidationError) -> list[Problem]:
    """The problems that a model of answers found."""
    return [_problem(detail["loc"], detail["msg"]) for detail in error.errors()]


def _problem(place: tuple[int | str, ...], told: str) -> Problem:
    key = ".".join(printable(str(part)) for part in place)
    what = told.lower().replace("input should be", "should be")
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    return Problem(key, what, _FORMS[str(place[0])])


MOST_KEYS = 20
"""So many unknown keys are told one by one: more are not answers with slips, but another file."""


def of_answers(
    catalogue: Catalogue,
    given: Mapping[str, Any],
    filled: Mapping[str, Any],
    bad: set[str],
    recorded: Mapping[str, Any],
) -> list[Problem]:
    """Every problem of the completed answers; the keys in `bad` have the wrong shape already."""
    sound = {key: value for key, value in filled.items() if key not in bad}
    found = of_names(catalogue, sound, recorded)
    found += of_choices(catalogue, filled, bad) + of_questions(catalogue, filled)
    if "agents" not in bad and "agents" in filled:
        found += of_agents(catalogue, filled, recorded)
        found += of_agent_chains(catalogue, filled, given.get("chains") or {})
    if "chains" not in bad and "chains" in filled and filled["providers"]:
        found += of_chains(catalogue, filled)
    return found


def unknown_keys(answers: Mapping[str, Any], known: Iterable[str]) -> list[Problem]:
    """The keys that are not answer keys, each with the nearest one that is."""
    sorted_ = sorted(known)
    unknown = [key for key in answers if key not in sorted_]
    found = [
        Problem(printable(key), "is not an answer key", suggest(printable(key), sorted_))
        for key in unknown[:MOST_KEYS]
    ]
    if more := unknown[MOST_KEYS:]:
        told = f"{len(more)} more keys are not answer keys"
        found.append(Problem("answers", told, "name a file of answers"))
    return found
