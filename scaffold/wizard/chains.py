"""One ordered chain after the other, with prices, context windows and the cost of the choice."""

from collections.abc import Callable
from functools import partial

from questionary import Choice

from scaffold.catalog import names
from scaffold.catalog import prices as models
from scaffold.wizard.prompts import Back, in_order, one, say, text, title
from scaffold.wizard.state import State

OTHER = "…"


def ask(state: State) -> None:
    chains = state.chains()
    steps: list[Callable[[], None]] = [partial(_chain, state, name, chains) for name in chains]
    in_order(steps)
    state.answers["chains"] = chains


def _chain(state: State, name: str, chains: dict[str, list[str]]) -> None:
    while True:
        refs = chains[name]
        title(state.heading(f"{name} ({[*chains].index(name) + 1} of {len(chains)})"))
        say("Asked in this order; US dollars per million tokens, context window in tokens.\n")
        for place, ref in enumerate(refs, 1):
            say(f"  {place}. {models.told(models.facts(state.catalogue, ref))}")
        say(f"\n  {state.estimate(chains)}")
        if len({ref.partition(":")[0] for ref in refs}) == 1:
            say("  One provider only: when it is down, nothing answers.")
        say()
        action = one(f"Chain {name}", _actions(refs))
        if action == "keep":
            return
        chains[name] = _changed(state, refs, action)


def _actions(refs: list[str]) -> list[Choice]:
    actions = [Choice("keep it like this", "keep"), Choice("add a model", "add")]
    if len(refs) > 1:
        actions += [Choice("move a model", "move"), Choice("remove a model", "remove")]
    return actions


def _changed(state: State, refs: list[str], action: str) -> list[str]:
    try:
        if action == "add":
            return list(dict.fromkeys([*refs, _new_model(state)]))
        ref = one("Which model?", [Choice(ref, ref) for ref in refs])
        rest = [other for other in refs if other != ref]
        if action == "remove":
            return rest
        at = int(one("To which place?", _places(rest)))
    except Back:
        return refs
    return [*rest[:at], ref, *rest[at:]]


def _places(rest: list[str]) -> list[Choice]:
    after = [Choice(f"after {ref}", str(place)) for place, ref in enumerate(rest, 1)]
    return [Choice("first", "0"), *after]


def _new_model(state: State) -> str:
    providers: list[str] = state.answers["providers"]
    known = [fact for p in providers for fact in models.offered(state.catalogue, p)]
    choices = [Choice(models.told(fact), fact.ref) for fact in known]
    ref = one("Which model?", [*choices, Choice("another one, typed", OTHER)])
    if ref != OTHER:
        return ref

    def problem(typed: str) -> str | None:
        provider, _, model = typed.partition(":")
        sound = provider in providers and model.strip() and not names.text_problem(typed)
        return None if sound else f"is not a provider:model of {', '.join(providers)}"

    return text("provider:model", f"{providers[0]}:", problem)
