"""The wizard: one module per screen; Enter takes the default, Ctrl-B goes back."""

from collections.abc import Callable, Mapping
from functools import partial

from scaffold.answers.spec import WorkspaceSpec
from scaffold.catalog.catalog import Catalogue
from scaffold.wizard import agents, chains, naming, patterns, providers, settings, summary
from scaffold.wizard.prompts import Back, in_order, title
from scaffold.wizard.state import Preview, State

# Sub-agents come before chains: each may ask a chain of its own, which is then built as well.
SCREENS: Mapping[str, Callable[[State], None]] = {
    "name and description": naming.ask,
    "patterns": patterns.ask,
    "providers": providers.ask,
    "sub-agents": agents.ask,
    "chains": chains.ask,
    "thresholds, budget and the rest": settings.ask,
}


def ask(
    catalogue: Catalogue, given: Mapping[str, object], *, folder_name: str, preview: Preview
) -> WorkspaceSpec | None:
    """Ask everything; None when the user cancels. Ctrl-C raises KeyboardInterrupt."""
    state = State(catalogue, dict(given), folder_name, preview, dict(given))
    while True:
        try:
            in_order([partial(_screen, state, name) for name in SCREENS])
            return summary.ask(state, SCREENS)
        except Back:
            continue  # there is nothing before the first screen


def _screen(state: State, name: str) -> None:
    state.screen = f"{list(SCREENS).index(name) + 1} of {len(SCREENS)}: {name}"
    title(state.heading())
    SCREENS[name](state)
