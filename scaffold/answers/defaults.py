"""What an answer is when a team gives none: what follows from the others."""

from collections.abc import Mapping
from typing import Any, cast

from scaffold.catalog import names
from scaffold.catalog.catalog import Catalogue, default_choice
from scaffold.catalog.feature import KINDS

DESCRIPTION = "Answers requests with a fleet of models."
AGENT_CHAIN = "specialist"
"""The chain of a sub-agent that names none."""


def filled_in(catalogue: Catalogue, answers: dict[str, Any], folder: str) -> dict[str, Any]:
    """The answers with every missing one defaulted, as far as their shape allows."""
    filled = dict(answers)
    filled.setdefault("project_name", names.default_project(folder))
    filled.setdefault("package", names.default_package(str(filled["project_name"])))
    filled.setdefault("description", DESCRIPTION)
    for kind in KINDS.values():
        value = filled.setdefault(kind.answer_key, default_choice(catalogue, kind, filled))
        if kind.many and isinstance(value, str):
            filled[kind.answer_key] = [value]
    surfaces = filled["surfaces"]
    if isinstance(surfaces, list) and "cli" not in surfaces:
        filled["surfaces"] = ["cli", *surfaces]
    filled.setdefault("quality_threshold", 0.7)
    filled.setdefault("monthly_budget_usd", 100)
    if _lists_are_sound(filled):
        if filled.get("agents") is None:
            filled["agents"] = catalogue.default_agents(filled)
        _default_chains(catalogue, filled)
        for key, question in catalogue.questions(filled).items():
            filled.setdefault(key, question.default)
    return filled


def _lists_are_sound(filled: Mapping[str, Any]) -> bool:
    keys = [kind.answer_key for kind in KINDS.values() if kind.many]
    return all(
        isinstance(filled[key], list) and all(isinstance(name, str) for name in filled[key])
        for key in keys
    )


def _default_chains(catalogue: Catalogue, filled: dict[str, Any]) -> None:
    given = filled.get("chains")
    sound = _default_agent_chains(filled)
    known = {feature.name for feature in catalogue.of("provider")}
    usable = [name for name in filled["providers"] if name in known]
    if sound and (given is None or isinstance(given, dict)):
        defaults = catalogue.default_chains({**filled, "providers": usable, "chains": {}})
        filled["chains"] = {**defaults, **(given or {})}


def _default_agent_chains(filled: dict[str, Any]) -> bool:
    """Fill in the chain a sub-agent leaves out; False where they have the wrong shape."""
    if not isinstance(filled["agents"], list):
        return False
    agents = cast(list[object], filled["agents"])
    if not all(isinstance(agent, dict) for agent in agents):
        return False
    filled["agents"] = [{"chain": AGENT_CHAIN, **cast(dict[str, Any], one)} for one in agents]
    return all(isinstance(agent["chain"], str) for agent in filled["agents"])
