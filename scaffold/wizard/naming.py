"""The screen for the project's name and what it does."""

from scaffold.catalog import names
from scaffold.catalog.core_settings import DESCRIPTION
from scaffold.wizard.prompts import ask_in_order, ask_text
from scaffold.wizard.state import State


def ask(state: State) -> None:
    """Ask both; the package follows from the name unless the command line gave it."""
    ask_in_order([lambda: _ask_name(state), lambda: _ask_description(state)])


def _ask_name(state: State) -> None:
    default = state.answers.project_name or names.default_project(state.folder)
    name = ask_text("What is the project called?", default, names.project_problem)
    state.answer(project_name=name)
    if state.given.package is None:
        state.answer(package=names.default_package(name))


def _ask_description(state: State) -> None:
    default = state.answers.description or DESCRIPTION
    description = ask_text("What does it do, in one line?", default, names.text_problem)
    state.answer(description=description)
