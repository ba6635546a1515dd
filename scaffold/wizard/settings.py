"""The screen for thresholds, the budget, and whatever else there is to choose."""

from collections.abc import Callable
from functools import partial

from questionary import Choice

from scaffold.answers.validate import check_setting
from scaffold.catalog.core_settings import QUESTIONS
from scaffold.catalog.kinds import KINDS, Kind
from scaffold.catalog.manifest import Question
from scaffold.wizard.prompts import ask_in_order, ask_many, ask_one, ask_text
from scaffold.wizard.state import State

_SCREENS_OF_THEIR_OWN = ("pattern", "provider")


def ask(state: State) -> None:
    """Ask for the other kinds of feature, then the questions of features, then the core's."""
    steps: list[Callable[[], None]] = [
        partial(_ask_kind, state, kind) for kind in KINDS.values() if _is_asked(state, kind)
    ]
    # Read before those kinds are asked for: a list of steps that grows would confuse Ctrl-B.
    questions = state.catalog.questions(state.answers.selection)
    steps += [partial(_ask_setting, state, key, question) for key, question in questions.items()]
    steps += [partial(_ask_core_setting, state, key, q) for key, q in QUESTIONS.items()]
    ask_in_order(steps)


def _is_asked(state: State, kind: Kind) -> bool:
    """Tell whether to ask for a kind: where features require one, only while one of them is on."""
    if kind.name in _SCREENS_OF_THEIR_OWN or not state.catalog.of(kind.name):
        return False
    requiring = [feature for feature in state.catalog.features if kind.name in feature.requires]
    on = state.catalog.list_enabled(state.answers.selection)
    return not requiring or any(feature in on for feature in requiring)


def _ask_kind(state: State, kind: Kind) -> None:
    features = state.catalog.list_for_reading(kind.name)
    chosen = state.list_chosen(kind.name)
    width = max(len(feature.title) for feature in features)
    lines = {feature.name: f"{feature.title:<{width}}  {feature.summary}" for feature in features}
    if kind.many:
        choices = [Choice(line, name, checked=name in chosen) for name, line in lines.items()]
        state.choose(kind, [*kind.builtins, *ask_many(f"Which {kind.answer_key}?", choices)])
    else:
        choices = [Choice(f"{kind.builtin} (default)", kind.builtin)]
        choices += [Choice(line, name) for name, line in lines.items()]
        state.choose(kind, [ask_one(f"Which {kind.name}?", choices, chosen[0])])


def _ask_setting(state: State, key: str, question: Question) -> None:
    before = state.answers.settings.get(key, question.default)
    state.set_setting(key, _ask_question(question, before))


def _ask_core_setting(state: State, key: str, question: Question) -> None:
    before: object = getattr(state.answers, key)
    state.answer(**{key: _ask_question(question, question.default if before is None else before)})


def _ask_question(question: Question, before: object) -> object:
    if question.choices:
        choices = [Choice(choice, choice) for choice in question.choices]
        return ask_one(question.help, choices, str(before))

    def find_problem(typed: str) -> str | None:
        return check_setting(question, _convert(typed, question))

    return _convert(ask_text(question.help, _format(before), find_problem), question)


def _format(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _convert(typed: str, question: Question) -> object:
    """Return the typed text as the question's type; text that does not fit stays text."""
    if question.type == "bool":
        return {"yes": True, "y": True, "no": False, "n": False}.get(typed.lower(), typed)
    for convert in {"int": (int,), "float": (int, float)}.get(question.type, ()):
        try:
            return convert(typed)
        except ValueError:
            continue
    return typed
