"""Which patterns: each with a line, its flow, and when to leave it."""

from questionary import Choice

from scaffold.feature import KINDS
from scaffold.questionnaire import default_choice
from scaffold.wizard.prompts import many, say
from scaffold.wizard.state import State


def ask(state: State) -> None:
    features = state.catalogue.of("pattern")
    for feature in features:
        say(f"{feature.title}: {feature.summary}")
        for line in feature.flow.strip().splitlines():
            say(f"    {line}")
        say(f"    Not when: {feature.when_not}\n")
    say("None of them: one good model with a fallback chain, best under 1,000 calls a day.\n")
    on = state.answers.get("patterns", default_choice(state.catalogue, KINDS["pattern"]))
    choices = [
        Choice(feature.title, feature.name, checked=feature.name in on) for feature in features
    ]
    state.answers["patterns"] = many("Which patterns?", choices)
    state.settle()
