"""The screens in their order, and the way through them."""

from collections.abc import Callable, Mapping
from functools import partial

from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.catalog.catalog import Catalog
from scaffold.wizard import agents, chains, naming, patterns, providers, settings, summary
from scaffold.wizard.prompts import Back, ask_in_order, print_title
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
    catalog: Catalog, given: PartialSpec, *, folder_name: str, preview: Preview
) -> WorkspaceSpec | None:
    """Ask everything.

    Returns:
        The checked answers, or None if the user cancels.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    state = State(catalog=catalog, given=given, answers=given, folder=folder_name, preview=preview)
    while True:
        try:
            ask_in_order([partial(_ask_screen, state, name) for name in SCREENS])
            return summary.ask(state, SCREENS)
        except Back:
            continue  # there is nothing before the first screen


def _ask_screen(state: State, name: str) -> None:
    state.screen = f"{list(SCREENS).index(name) + 1} of {len(SCREENS)}: {name}"
    print_title(state.heading())
    SCREENS[name](state)
