"""WorkspaceSpec: the one place where answers are validated, against each other as well."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaffold import models, names
from scaffold.catalogue import Catalogue, chosen
from scaffold.errors import AnswersError, Problem
from scaffold.feature import KINDS, Question
from scaffold.questionnaire import default_choice

DESCRIPTION = "Answers requests with a fleet of models."


class Agent(BaseModel):
    """A named sub-agent: what it handles, and the chain it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    chain: str = "specialist"


class WorkspaceSpec(BaseModel):
    """Every visible answer, typed and complete; feature questions are in `settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project_name: str
    package: str
    description: str
    patterns: list[str]
    providers: list[str]
    search: list[str]
    engine: str
    framework: str
    surfaces: list[str]
    extras: list[str]
    agents: list[Agent]
    chains: dict[str, list[str]]
    quality_threshold: float = Field(ge=0, le=1)
    monthly_budget_usd: float = Field(ge=0, allow_inf_nan=False)
    settings: dict[str, str | int | float | bool] = {}

    @property
    def slug(self) -> str:
        """The distribution's and the command's name."""
        return names.slug_of(self.project_name)

    def answers(self) -> dict[str, Any]:
        """The answers as copier takes them: plain data, feature questions beside the rest."""
        data = self.model_dump(exclude={"settings"})
        budget = data["monthly_budget_usd"]
        data["monthly_budget_usd"] = int(budget) if budget == int(budget) else budget
        return data | self.settings


def complete(
    catalogue: Catalogue, given: Mapping[str, object], *, folder_name: str
) -> WorkspaceSpec:
    """Default what is not given and check everything. Raises AnswersError with every problem."""
    answers = {key: value for key, value in given.items() if not key.startswith("_")}
    problems = _unknown_keys(catalogue, answers)
    known = known_keys(catalogue)
    filled = _defaults(catalogue, {k: v for k, v in answers.items() if k in known}, folder_name)
    misshapen = [problem for problem in _shape(filled) if problem.key.split(".")[0] in answers]
    problems += misshapen + _sound(catalogue, filled, {one.key.split(".")[0] for one in misshapen})
    if problems:
        raise AnswersError(problems)
    asked = _questions_of(catalogue, filled)
    settings = {key: filled.pop(key) for key in asked}
    idle = {key for feature in catalogue.features for key in feature.questions}
    return WorkspaceSpec.model_validate(
        {key: value for key, value in filled.items() if key not in idle} | {"settings": settings}
    )


def _sound(catalogue: Catalogue, filled: Mapping[str, Any], bad: set[str]) -> list[Problem]:
    """The problems of the answers that have the right shape: `bad` ones are left out."""
    problems = _names({key: value for key, value in filled.items() if key not in bad})
    lists = {kind.answer_key for kind in KINDS.values()}
    if lists & bad:
        return problems
    problems += _choices(catalogue, filled) + _questions(catalogue, filled)
    if "agents" not in bad and "agents" in filled:
        problems += _agents(catalogue, filled)
    if "chains" not in bad and filled["providers"] and "chains" in filled:
        problems += _chains(catalogue, filled)
    return problems


def known_keys(catalogue: Catalogue) -> set[str]:
    """Every answer key there is, with those of features that are not chosen."""
    own = {key for feature in catalogue.features for key in feature.questions}
    return {*WorkspaceSpec.model_fields, *own} - {"settings"}


def missing(given: Mapping[str, object]) -> list[str]:
    """The main answer keys that were not given and so took their default."""
    return [key for key in WorkspaceSpec.model_fields if key not in given and key != "settings"]


def warnings(catalogue: Catalogue, spec: WorkspaceSpec) -> list[str]:
    """What is allowed but worth a second look."""
    told: list[str] = []
    for name, refs in spec.chains.items():
        if len({ref.partition(":")[0] for ref in refs}) == 1:
            told.append(f"Chain {name} has one provider: when it is down, nothing answers.")
    for ref in dict.fromkeys(ref for refs in spec.chains.values() for ref in refs):
        known = models.facts(catalogue, ref)
        if known.matched is None and known.listed:
            told.append(f"{ref} is unknown and unpriced: give its price in prices.toml.")
        elif known.matched not in (None, known.model):
            told.append(f"{ref} is priced as {known.matched}: check that this is right.")
    return told


def _defaults(catalogue: Catalogue, answers: dict[str, Any], folder: str) -> dict[str, Any]:
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
        for key, question in _questions_of(catalogue, filled).items():
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
    filled["agents"] = [{"chain": "specialist", **cast(dict[str, Any], one)} for one in agents]
    return all(isinstance(agent["chain"], str) for agent in filled["agents"])


def _unknown_keys(catalogue: Catalogue, answers: Mapping[str, Any]) -> list[Problem]:
    known = sorted(known_keys(catalogue))
    return [
        Problem(key, "is no answer key", _nearest(key, known))
        for key in answers
        if key not in known
    ]


def _nearest(word: str, known: Iterable[str]) -> str:
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(choices)}" if choices else "there is none to choose yet"


def _shape(filled: Mapping[str, Any]) -> list[Problem]:
    fields = {key: filled[key] for key in WorkspaceSpec.model_fields if key in filled}
    try:
        WorkspaceSpec.model_validate(fields)
    except ValidationError as error:
        return [
            Problem(
                ".".join(map(str, detail["loc"])),
                detail["msg"].lower().replace("input should be", "should be"),
                "see the README for its form",
            )
            for detail in error.errors()
        ]
    return []


def _names(filled: Mapping[str, Any]) -> list[Problem]:
    checks = {
        "project_name": (names.project_problem, "take another name"),
        "package": (names.package_problem, "take another, such as my_agents"),
        "description": (names.text_problem, "write one line of text"),
    }
    return [
        Problem(key, f"'{_shown(filled[key])}' {problem}", way_out)
        for key, (check, way_out) in checks.items()
        if key in filled and (problem := check(filled[key]))
    ]


def _shown(text: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= 40 else printable[:39] + "…"


def _choices(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for kind in KINDS.values():
        known = [kind.builtin] if kind.builtin else []
        known += [feature.name for feature in catalogue.of(kind.name)]
        picked = chosen(filled, kind.name)
        problems += [
            Problem(
                kind.answer_key, f"there is no {kind.name} '{_shown(name)}'", _nearest(name, known)
            )
            for name in picked
            if name not in known
        ]
        if len(set(picked)) != len(picked):
            problems.append(Problem(kind.answer_key, "names one twice", "name each once"))
    if not filled["providers"]:
        problems.append(Problem("providers", "is empty", "choose at least one"))
    return problems + _together(catalogue, filled)


def _together(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    on = catalogue.enabled(filled)
    ids = {feature.ref for feature in on}
    problems: list[Problem] = []
    for feature in on:
        key = KINDS[feature.kind].answer_key if feature.kind in KINDS else "patterns"
        for other in feature.requires:
            if other in KINDS and not chosen(filled, other):
                some = ", ".join(known.name for known in catalogue.of(other))
                needed = KINDS[other].answer_key
                problems.append(Problem(needed, f"{feature.name} needs one", f"choose from {some}"))
            elif other not in KINDS and other not in ids:
                problems.append(Problem(key, f"{feature.name} needs {other}", "choose it as well"))
        for other in set(feature.conflicts) & ids:
            problems.append(
                Problem(key, f"{feature.name} and {other} exclude each other", "drop one")
            )
    return problems


def _agents(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    stages = {stage.name for feature in catalogue.features for stage in feature.stages}
    problems: list[Problem] = []
    seen: set[str] = set()
    for agent in filled["agents"]:
        name, key = agent["name"], f"agents.{_shown(agent['name'])}"
        if problem := names.agent_problem(name):
            problems.append(Problem(key, problem, "take a name like billing"))
        if name in stages:
            problems.append(Problem(key, "is the name of a stage", "take another name"))
        if name in seen:
            problems.append(Problem(key, "is there twice", "give each its own name"))
        seen.add(name)
        if problem := names.text_problem(agent["description"]):
            problems.append(Problem(f"{key}.description", problem, "write one line of text"))
        if problem := names.agent_problem(agent["chain"]):
            problems.append(Problem(f"{key}.chain", problem, "name a chain such as cheap"))
    return problems


def _chains(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for name, refs in filled["chains"].items():
        key = f"chains.{_shown(str(name))}"
        if problem := names.agent_problem(str(name)):
            problems.append(Problem(key, problem, "name it like cheap"))
        if not refs:
            problems.append(Problem(key, "is empty", "name at least one provider:model"))
        if len(set(refs)) != len(refs):
            problems.append(Problem(key, "names a model twice", "name each once"))
        for ref in refs:
            problems += _reference(catalogue, filled["providers"], key, ref)
    return problems


def _reference(catalogue: Catalogue, providers: list[str], key: str, ref: str) -> list[Problem]:
    provider, colon, model = ref.partition(":")
    bare, at, deployment = model.rpartition("@") if "@" in model else (model, "", "")
    if names.text_problem(ref) or not (colon and provider and bare) or (at and not deployment):
        return [
            Problem(key, f"'{_shown(ref)}' is no provider:model", "write e.g. openai:gpt-6-luna")
        ]
    if provider in providers:
        return []
    known = [feature.name for feature in catalogue.of("provider")]
    if provider not in known:
        return [
            Problem(key, f"there is no provider '{_shown(provider)}'", _nearest(provider, known))
        ]
    return [
        Problem(key, f"{_shown(ref)} needs {provider}", "add it to providers or drop the model")
    ]


def _questions_of(catalogue: Catalogue, filled: Mapping[str, Any]) -> dict[str, Question]:
    return {
        key: question
        for feature in catalogue.enabled(filled)
        for key, question in feature.questions.items()
    }


def _questions(catalogue: Catalogue, filled: Mapping[str, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for key, question in _questions_of(catalogue, filled).items():
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
        if question.min is not None and not value >= question.min:
            return f"is less than {question.min:g}"
        if question.max is not None and not value <= question.max:
            return f"is more than {question.max:g}"
    if isinstance(value, str):
        return names.text_problem(value)
    return None
