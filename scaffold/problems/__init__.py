"""What is wrong with a set of answers, each on its own and all against each other."""

from collections.abc import Iterable, Mapping
from typing import Any

from scaffold.catalogue import Catalogue
from scaffold.errors import Problem
from scaffold.feature import KINDS
from scaffold.problems.choices import of_choices, of_questions
from scaffold.problems.fleet import of_agent_chains, of_agents, of_chains
from scaffold.problems.naming import of_names
from scaffold.problems.wording import nearest


def of_answers(
    catalogue: Catalogue, given: Mapping[str, Any], filled: Mapping[str, Any], bad: set[str]
) -> list[Problem]:
    """Every problem of the completed answers; the keys in `bad` have the wrong shape already."""
    found = of_names(catalogue, {key: value for key, value in filled.items() if key not in bad})
    lists = {kind.answer_key for kind in KINDS.values()}
    if lists & bad:
        return found
    found += of_choices(catalogue, filled) + of_questions(catalogue, filled)
    if "agents" not in bad and "agents" in filled:
        found += of_agents(catalogue, filled)
        found += of_agent_chains(catalogue, filled, given.get("chains") or {})
    if "chains" not in bad and filled["providers"] and "chains" in filled:
        found += of_chains(catalogue, filled)
    return found


def unknown_keys(answers: Mapping[str, Any], known: Iterable[str]) -> list[Problem]:
    """The keys that are no answer keys, each with the nearest one that is."""
    sorted_ = sorted(known)
    return [
        Problem(key, "is no answer key", nearest(key, sorted_))
        for key in answers
        if key not in sorted_
    ]
