"""The screen for the patterns: each with a line, its flow, and when to leave it."""

from collections.abc import Sequence

from questionary import Choice

from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import KINDS
from scaffold.wizard.prompts import ask_many, fits, say
from scaffold.wizard.state import State

NONE = "None of them: one good model with a chain, best under 1,000 calls a day."


def ask(state: State) -> None:
    """Describe the patterns and ask which of them."""
    features = state.catalog.of("pattern")
    whole = _describe(features, with_limits=True)
    # The list of choices and its question need the rest of the screen.
    rest = len(features) + 4
    say(whole if fits(whole, rest) else _describe(features, with_limits=False))
    chosen = state.list_chosen("pattern")
    width = max(len(feature.title) for feature in features)
    choices = [
        Choice(
            f"{feature.title:<{width}}  {feature.summary}",
            feature.name,
            checked=feature.name in chosen,
        )
        for feature in features
    ]
    state.choose(KINDS["pattern"], ask_many("Which patterns?", choices))
    state.settle()


def _describe(features: Sequence[Feature], *, with_limits: bool) -> str:
    """Return each pattern's flow; `with_limits` says when not to take it as well."""
    blocks: list[str] = []
    for feature in features:
        flow = "\n  ".join(feature.flow.strip().splitlines())
        limits = f"\n  Not when: {feature.when_not}\n" if with_limits else ""
        blocks.append(f"{feature.title}: {flow}{limits}")
    return "\n".join([*blocks, f"{NONE}\n"])
