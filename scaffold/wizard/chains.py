"""The screens for the chains, one after the other, with prices and the cost of the choice."""

from collections.abc import Callable
from functools import partial

from questionary import Choice

from scaffold.answers.spec import Chains
from scaffold.catalog import names
from scaffold.catalog.catalog import list_providers
from scaffold.catalog.prices import describe_model, find_model, list_models
from scaffold.wizard.prompts import Back, ask_in_order, ask_one, ask_text, print_title, say
from scaffold.wizard.state import State

OTHER = "…"


def ask(state: State) -> None:
    """Ask for every chain that is used; their answers are taken together."""
    chains = state.chains()
    steps: list[Callable[[], None]] = [partial(_ask_chain, state, name, chains) for name in chains]
    ask_in_order(steps)
    # Only after the last one, so that Ctrl-B out of this screen leaves the chains as they were.
    state.answer(chains=chains)


def _ask_chain(state: State, name: str, chains: Chains) -> None:
    while True:
        refs = chains[name]
        print_title(state.heading(f"{name} ({[*chains].index(name) + 1} of {len(chains)})"))
        say("Asked in this order; US dollars per million tokens, context window in tokens.\n")
        for place, ref in enumerate(refs, 1):
            say(f"  {place}. {describe_model(find_model(state.catalog, ref))}")
        say(f"\n  {state.describe_estimate(chains)}")
        if len(list_providers(refs)) == 1:
            say("  One provider only: when it is down, nothing answers.")
        say()
        action = ask_one(f"Chain {name}", _list_actions(refs))
        if action == "keep":
            return
        chains[name] = _change(state, refs, action)


def _list_actions(refs: list[str]) -> list[Choice]:
    actions = [Choice("keep it like this", "keep"), Choice("add a model", "add")]
    if len(refs) > 1:
        actions += [Choice("move a model", "move"), Choice("remove a model", "remove")]
    return actions


def _change(state: State, refs: list[str], action: str) -> list[str]:
    try:
        if action == "add":
            return list(dict.fromkeys([*refs, _ask_model(state)]))
        ref = ask_one("Which model?", [Choice(ref, ref) for ref in refs])
        rest = [other for other in refs if other != ref]
        if action == "remove":
            return rest
        place = int(ask_one("To which place?", _list_places(rest)))
    except Back:
        return refs
    return [*rest[:place], ref, *rest[place:]]


def _list_places(rest: list[str]) -> list[Choice]:
    after = [Choice(f"after {ref}", str(place)) for place, ref in enumerate(rest, 1)]
    return [Choice("first", "0"), *after]


def _ask_model(state: State) -> str:
    providers = state.list_chosen("provider")
    models = [model for name in providers for model in list_models(state.catalog, name)]
    choices = [Choice(describe_model(model), model.ref) for model in models]
    ref = ask_one("Which model?", [*choices, Choice("another one, typed", OTHER)])
    if ref != OTHER:
        return ref

    def find_problem(typed: str) -> str | None:
        provider, _, model = typed.partition(":")
        is_sound = provider in providers and model.strip() and not names.text_problem(typed)
        return None if is_sound else f"is not a provider:model of {', '.join(providers)}"

    return ask_text("provider:model", f"{providers[0]}:", find_problem)
