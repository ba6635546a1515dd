"""The last screen: what will be written, then write, change an answer, or cancel."""

from collections.abc import Callable, Mapping

from questionary import Choice

from scaffold.answers.spec import WorkspaceSpec
from scaffold.answers.warnings import list_warnings
from scaffold.errors import AnswersError
from scaffold.wizard.prompts import Back, ask_one, print_title, say
from scaffold.wizard.state import State
from scaffold.workspace.create_report import draw_tree

Screens = Mapping[str, Callable[[State], None]]


def ask(state: State, screens: Screens) -> WorkspaceSpec | None:
    """Return the checked answers, or None when the user cancels."""
    while True:
        state.screen = "summary"
        print_title(state.heading())
        try:
            spec = state.spec()
        except AnswersError as error:
            # Each screen checks its own answer, but not whether two of them fit together.
            say(f"{error}\n")
            _change(state, screens)
            continue
        _show(state, spec)
        choices = [Choice("write it", "write"), Choice("change an answer", "change")]
        try:
            action = ask_one("Write this workspace?", [*choices, Choice("cancel", "cancel")])
        except Back:
            action = "change"
        if action != "change":
            return spec if action == "write" else None
        _change(state, screens)


def _change(state: State, screens: Screens) -> None:
    try:
        name = ask_one("Which answer?", [Choice(name, name) for name in screens])
        state.screen = name
        print_title(state.heading())
        screens[name](state)
    except Back:
        return


def _show(state: State, spec: WorkspaceSpec) -> None:
    files = state.preview(spec)
    say(f"{draw_tree(state.folder, files)}\n\n{len(files)} files.\n")
    lines = {
        "project": f"{spec.project_name} (package {spec.package}, command {spec.slug})",
        "does": spec.description,
        "patterns": ", ".join(spec.patterns) or "none: one good model",
        "providers": ", ".join(spec.providers),
        **{f"{name} chain": " → ".join(refs) for name, refs in spec.chains.items()},
        "sub-agents": ", ".join(agent.name for agent in spec.agents) or "none",
        "extras": ", ".join(spec.extras) or "none",
        "budget": f"${spec.monthly_budget_usd:g} a month" if spec.monthly_budget_usd else "none",
    }
    for name, value in lines.items():
        say(f"  {name:<18}{value}")
    say(f"\n  {state.describe_estimate(spec.chains)}")
    for warning in list_warnings(state.catalog, spec):
        say(f"  Note: {warning}")
    say()
