"""The screen for the providers: the variable each needs and whether it is set, never its value."""

import os

from questionary import Choice

from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import KINDS
from scaffold.wizard.prompts import ask_many, say
from scaffold.wizard.state import State

MORE = "…"


def ask(state: State) -> None:
    """Ask which providers; those that few teams use are listed on demand."""
    features = state.catalog.of("provider")
    chosen = state.answers.providers or state.catalog.default_choice(KINDS["provider"])
    listed = [feature for feature in features if feature.common or feature.name in chosen]
    while True:
        choices = [Choice(_describe(f), f.name, checked=f.name in chosen) for f in listed]
        if len(listed) < len(features):
            choices.append(Choice("more …", MORE))
        picked = ask_many("Which providers?", choices)
        chosen = [name for name in picked if name != MORE]
        if MORE in picked:
            listed = features
        elif chosen:
            break
        else:
            say("At least one provider is needed: pick it with Space.")
    state.choose(KINDS["provider"], chosen)
    state.settle()


def _describe(feature: Feature) -> str:
    required = [variable.name for variable in feature.env if variable.required]
    # The word comes first: a narrow terminal cuts the line, and the name says less.
    keys = ", ".join(f"{'set' if os.environ.get(n) else 'not set'}: {n}" for n in required)
    return f"{feature.title:<22} {keys or 'no key needed'}"
