"""What is wrong with a set of answers, each on its own and all against each other."""

from collections.abc import Iterable, Mapping
from typing import Any

from scaffold.catalogue import Catalogue
from scaffold.errors import Problem
from scaffold.problems.choices import of_choices, of_questions
from scaffold.problems.fleet import of_agent_chains, of_agents, of_chains
from scaffold.problems.naming import of_names
from scaffold.problems.wording import nearest, shown

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
        Problem(shown(key), "is not an answer key", nearest(shown(key), sorted_))
        for key in unknown[:MOST_KEYS]
    ]
    if more := unknown[MOST_KEYS:]:
        told = f"{len(more)} more keys are not answer keys"
        found.append(Problem("answers", told, "name a file of answers"))
    return found
