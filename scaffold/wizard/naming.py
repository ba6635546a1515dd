"""The project's name and what it does."""

from scaffold.answers.defaults import DESCRIPTION
from scaffold.catalog import names
from scaffold.wizard.prompts import in_order, text
from scaffold.wizard.state import State


def ask(state: State) -> None:
    in_order([lambda: _name(state), lambda: _description(state)])


def _name(state: State) -> None:
    answers = state.answers
    name = answers.get("project_name", names.default_project(state.folder))
    answers["project_name"] = text("What is the project called?", name, names.project_problem)
    if "package" not in state.given:
        answers["package"] = names.default_package(answers["project_name"])


def _description(state: State) -> None:
    about = state.answers.get("description", DESCRIPTION)
    state.answers["description"] = text("What does it do, in one line?", about, names.text_problem)
