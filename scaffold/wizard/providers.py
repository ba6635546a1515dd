"""Which providers: the variable each needs and whether it is set, never its value."""

import os

from questionary import Choice

from scaffold.catalog.catalog import default_choice
from scaffold.catalog.feature import KINDS, Feature
from scaffold.wizard.prompts import many, say
from scaffold.wizard.state import State

MORE = "…"


def ask(state: State) -> None:
    features = state.catalogue.of("provider")
    on: list[str] = state.answers.get("providers") or list(
        default_choice(state.catalogue, KINDS["provider"])
    )
    shown = [feature for feature in features if feature.common or feature.name in on]
    while True:
        choices = [Choice(_line(f), f.name, checked=f.name in on) for f in shown]
        if len(shown) < len(features):
            choices.append(Choice("more …", MORE))
        picked = many("Which providers?", choices)
        on = [name for name in picked if name != MORE]
        if MORE in picked:
            shown = features
        elif on:
            break
        else:
            say("At least one provider is needed: pick it with Space.")
    if on != state.answers.get("providers"):
        state.answers["providers"] = on
    state.settle()


def _line(feature: Feature) -> str:
    needed = [variable.name for variable in feature.env if variable.required]
    # The word first: a narrow terminal cuts the line, and the name says less.
    told = ", ".join(f"{'set' if os.environ.get(n) else 'not set'}: {n}" for n in needed)
    return f"{feature.title:<22} {told or 'no key needed'}"
