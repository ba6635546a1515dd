"""The wizard: one function per screen; Enter takes the default, Ctrl-B goes back."""

import os
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import questionary
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from questionary import Choice, Question

from scaffold import economics, models, names
from scaffold.answers import DESCRIPTION, WorkspaceSpec, complete, question_problem, warnings
from scaffold.catalogue import Catalogue
from scaffold.errors import AnswersError
from scaffold.feature import KINDS
from scaffold.models import ModelFacts
from scaffold.questionnaire import default_choice
from scaffold.tree import drawn

KEYS = "(Enter, ^B back, ^C quit)"
MANY = "(Space picks, Enter, ^B back, ^C quit)"
LONG = 10
"""From this many entries on, a list can be filtered by typing."""

Preview = Callable[[WorkspaceSpec], list[str]]
Value = TypeVar("Value")


class Back(Exception):
    """The user wants the screen before."""


@dataclass
class State:
    """What is answered so far."""

    catalogue: Catalogue
    answers: dict[str, Any]
    folder: str
    preview: Preview
    fixed: frozenset[str]

    def spec(self) -> WorkspaceSpec:
        return complete(self.catalogue, self.answers, folder_name=self.folder)


def ask(
    catalogue: Catalogue, given: Mapping[str, object], *, folder_name: str, preview: Preview
) -> WorkspaceSpec | None:
    """Ask everything; None when the user cancels. Ctrl-C raises KeyboardInterrupt."""
    state = State(catalogue, dict(given), folder_name, preview, frozenset(given))
    at = 0
    while at < len(SCREENS):
        try:
            list(SCREENS.values())[at](state)
            at += 1
        except Back:
            at = max(0, at - 1)
    return _summary(state)


def _name(state: State) -> None:
    given = state.answers
    name = given.get("project_name", names.default_project(state.folder))
    given["project_name"] = _text("What is the project called?", name, names.project_problem)
    package = names.default_package(given["project_name"])
    if given.get("package") != package and "package" not in state.fixed:
        given["package"] = package
    about = given.get("description", DESCRIPTION)
    given["description"] = _text("What does it do, in one line?", about, names.text_problem)


def _patterns(state: State) -> None:
    features = state.catalogue.of("pattern")
    for feature in features:
        _say(f"{feature.title}: {feature.summary}")
        for line in feature.flow.strip().splitlines():
            _say(f"    {line}")
        _say(f"    Not when: {feature.when_not}\n")
    _say("None of them: one good model with a fallback chain, best under 1,000 calls a day.\n")
    on = state.answers.get("patterns", default_choice(state.catalogue, KINDS["pattern"]))
    choices = [Choice(f.title, f.name, checked=f.name in on) for f in features]
    state.answers["patterns"] = _many("Which patterns?", choices)
    if "agents" not in state.answers:
        state.answers["agents"] = state.catalogue.default_agents(state.answers)


def _providers(state: State) -> None:
    features = state.catalogue.of("provider")
    on = state.answers.get("providers", default_choice(state.catalogue, KINDS["provider"]))
    shown = [f for f in features if f.common or f.name in on]
    rest = [f for f in features if f not in shown]
    while True:
        choices = [Choice(_provider_line(f), f.name, checked=f.name in on) for f in shown]
        if rest:
            choices.append(Choice("more …", "…"))
        picked = _many("Which providers?", choices)
        on = [name for name in picked if name != "…"]
        if "…" in picked:
            shown, rest = features, []
        elif on:
            break
        else:
            _say("At least one provider is needed.")
    if on != state.answers.get("providers"):
        state.answers["providers"] = on
        kept: dict[str, list[str]] = state.answers.get("chains") or {}
        state.answers["chains"] = {
            name: refs for name, refs in kept.items() if {r.split(":")[0] for r in refs} <= set(on)
        }


def _provider_line(feature: Any) -> str:
    needed = [variable.name for variable in feature.env if variable.required]
    told = ", ".join(f"{n} {'set' if os.environ.get(n) else 'not set'}" for n in needed)
    return f"{feature.title:<22} {told or 'no key needed'}"


def _chains(state: State) -> None:
    chains = state.catalogue.default_chains(state.answers)
    names_ = list(chains)
    at = 0
    while at < len(names_):
        name = names_[at]
        try:
            chains[name] = _chain(state, name, chains)
            at += 1
        except Back:
            if at == 0:
                raise
            at -= 1
    state.answers["chains"] = chains


def _chain(state: State, name: str, chains: dict[str, list[str]]) -> list[str]:
    refs = list(chains[name])
    while True:
        _say(f"\nChain {name}, asked in this order (dollars per million tokens, context window):")
        for place, ref in enumerate(refs, 1):
            _say(f"  {place}. {_model_line(models.facts(state.catalogue, ref))}")
        _say(f"  {_estimate(state, {**chains, name: refs})}")
        if len({ref.partition(":")[0] for ref in refs}) == 1:
            _say("  One provider only: when it is down, nothing answers.")
        action = _one(f"Chain {name}", _chain_actions(refs))
        if action == "keep":
            return refs
        refs = _changed(state, refs, action)


def _chain_actions(refs: list[str]) -> list[Choice]:
    actions = [Choice("keep it like this", "keep"), Choice("add a model", "add")]
    if len(refs) > 1:
        actions += [
            Choice("move a model to the front", "first"),
            Choice("remove a model", "remove"),
        ]
    return actions


def _changed(state: State, refs: list[str], action: str) -> list[str]:
    try:
        if action == "add":
            return list(dict.fromkeys([*refs, _new_model(state)]))
        ref = _one("Which model?", [Choice(ref, ref) for ref in refs])
    except Back:
        return refs
    rest = [other for other in refs if other != ref]
    return [ref, *rest] if action == "first" else rest


def _new_model(state: State) -> str:
    providers: list[str] = state.answers["providers"]
    known = [fact for p in providers for fact in models.offered(state.catalogue, p)]
    choices = [Choice(_model_line(fact), fact.ref) for fact in known]
    ref = _one("Which model?", [*choices, Choice("another one, typed", "")])
    if ref:
        return ref

    def problem(text: str) -> str | None:
        provider, _, model = text.partition(":")
        sound = provider in providers and model.strip() and not names.text_problem(text)
        return None if sound else f"is no provider:model of {', '.join(providers)}"

    return _text("provider:model", f"{providers[0]}:", problem)


def _model_line(fact: ModelFacts) -> str:
    if fact.input_usd is None or fact.output_usd is None:
        prices = "unpriced"
    else:
        prices = f"${fact.input_usd.normalize():f} in, ${fact.output_usd.normalize():f} out"
    window = f"{fact.context_window // 1000}k" if fact.context_window else "?"
    return f"{fact.ref:<36} {prices:<28} {window:>5}"


def _estimate(state: State, chains: dict[str, list[str]]) -> str:
    cost = economics.per_1000_requests(state.catalogue, {**state.answers, "chains": chains})
    return (
        "About ? per 1,000 requests (unpriced model)."
        if cost is None
        else (f"About ${cost:.2f} per 1,000 requests as things stand.")
    )


def _agents(state: State) -> None:
    agents: list[dict[str, str]] = list(state.answers.get("agents") or [])
    while True:
        _say("\nSub-agents: named roles that requests can be sent to.")
        for agent in agents:
            _say(f"  {agent['name']} ({agent['chain']} chain): {agent['description']}")
        actions = [Choice("go on with these" if agents else "go on with none", "keep")]
        actions += [Choice("add a sub-agent", "add")]
        actions += [Choice(f"remove {agent['name']}", agent["name"]) for agent in agents]
        action = _one("Sub-agents", actions)
        if action == "keep":
            break
        if action == "add":
            try:
                agents = [*agents, _agent(state, agents)]
            except Back:
                continue
        else:
            agents = [agent for agent in agents if agent["name"] != action]
    state.answers["agents"] = agents
    state.answers["chains"] = state.catalogue.default_chains(state.answers)


def _agent(state: State, agents: list[dict[str, str]]) -> dict[str, str]:
    stages = {stage.name for feature in state.catalogue.features for stage in feature.stages}
    taken = stages | {agent["name"] for agent in agents}

    def problem(name: str) -> str | None:
        return "is taken" if name in taken else names.agent_problem(name)

    name = _text("Its name (a Python identifier such as billing)", "", problem)
    handles = _text("What does it handle?", "", names.text_problem)
    chains = dict.fromkeys([*state.catalogue.default_chains(state.answers), "specialist"])
    chain = _one("Which chain does it ask?", [Choice(chain, chain) for chain in chains])
    return {"name": name, "description": handles, "chain": chain}


def _settings(state: State) -> None:
    for feature in state.catalogue.enabled(state.answers):
        for key, question in feature.questions.items():
            default = state.answers.get(key, question.default)

            def problem(text: str, question: Any = question) -> str | None:
                return question_problem(question, _number(text))

            state.answers[key] = _number(_text(question.help, str(default), problem))
    budget = str(state.answers.get("monthly_budget_usd", 100))
    state.answers["monthly_budget_usd"] = _number(
        _text("Monthly budget in US dollars (0: none)", budget, _budget_problem)
    )
    extras = state.catalogue.of("extra")
    on = state.answers.get("extras", default_choice(state.catalogue, KINDS["extra"]))
    choices = [Choice(f"{f.title:<16} {f.summary}", f.name, checked=f.name in on) for f in extras]
    state.answers["extras"] = _many("What else?", choices)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _budget_problem(text: str) -> str | None:
    value = _number(text)
    sound = not isinstance(value, str) and 0 <= value < float("inf")
    return None if sound else "is no amount of dollars"


SCREENS: Mapping[str, Callable[[State], None]] = {
    "name and description": _name,
    "patterns": _patterns,
    "providers": _providers,
    "chains": _chains,
    "sub-agents": _agents,
    "thresholds, budget and extras": _settings,
}


def _summary(state: State) -> WorkspaceSpec | None:
    while True:
        try:
            spec = state.spec()
        except AnswersError as error:
            _say(f"\n{error}\n")
            _change(state)
            continue
        _show(state, spec)
        choices = [Choice("write it", "write"), Choice("change an answer", "change")]
        try:
            action = _one("Write this workspace?", [*choices, Choice("cancel", "cancel")])
        except Back:
            action = "change"
        if action == "write":
            return spec
        if action == "cancel":
            return None
        _change(state)


def _change(state: State) -> None:
    try:
        SCREENS[_one("Which answer?", [Choice(name, name) for name in SCREENS])](state)
    except Back:
        return


def _show(state: State, spec: WorkspaceSpec) -> None:
    _say("\n" + drawn(state.folder, state.preview(spec)) + "\n")
    _say(f"  {'project':<12}{spec.project_name} (package {spec.package}, command {spec.slug})")
    _say(f"  {'patterns':<12}{', '.join(spec.patterns) or 'none: one good model'}")
    _say(f"  {'providers':<12}{', '.join(spec.providers)}")
    for name, refs in spec.chains.items():
        _say(f"  {name:<12}{' → '.join(refs)}")
    _say(f"  {'sub-agents':<12}{', '.join(agent.name for agent in spec.agents) or 'none'}")
    _say(f"  {'extras':<12}{', '.join(spec.extras) or 'none'}")
    _say(f"  {_estimate(state, spec.chains)}")
    for warning in warnings(state.catalogue, spec):
        _say(f"  Note: {warning}")


def _say(text: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        questionary.print(textwrap.fill(line, width, subsequent_indent=indent + "  "))


def _text(message: str, default: str, problem: Callable[[str], str | None]) -> str:
    def valid(text: str) -> bool | str:
        return problem(text) or True

    asked = questionary.text(message, default=default, validate=valid, instruction=f"{KEYS} ")
    return _answer(asked).strip()


def _one(message: str, choices: Sequence[Choice]) -> str:
    long = len(choices) >= LONG
    return _answer(
        questionary.select(
            message,
            choices=choices,
            instruction=f"{'type to filter ' if long else ''}{KEYS}",
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def _many(message: str, choices: Sequence[Choice]) -> list[str]:
    if not choices:
        return []
    long = len(choices) >= LONG
    return _answer(
        questionary.checkbox(
            message,
            choices=choices,
            instruction=f"{'type to filter ' if long else ''}{MANY}",
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def _answer(question: Question) -> Any:
    keys = KeyBindings()

    @keys.add("c-b", eager=True)
    def back(event: KeyPressEvent) -> None:
        event.app.exit(exception=Back)

    bound = question.application.key_bindings
    question.application.key_bindings = merge_key_bindings([bound, keys] if bound else [keys])
    return question.unsafe_ask()
