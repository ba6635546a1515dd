"""Thresholds, the budget, and whatever else there is to choose."""

from collections.abc import Callable
from functools import partial
from typing import Any

from questionary import Choice

from scaffold.answers.validate import question_problem
from scaffold.catalog.catalog import default_choice
from scaffold.catalog.copier_questions import MOST_USD
from scaffold.catalog.feature import KINDS, Kind
from scaffold.catalog.manifest import Question
from scaffold.wizard.prompts import in_order, many, one, text
from scaffold.wizard.state import State

THRESHOLD = Question(
    type="float",
    default=0.7,
    min=0,
    max=1,
    help="From which score or confidence on is an answer good enough (0 to 1)?",
)
BUDGET = Question(
    type="float",
    default=100,
    min=0,
    max=MOST_USD,
    help="What may a month cost, in US dollars (0: no budget)?",
)


def ask(state: State) -> None:
    steps: list[Callable[[], None]] = [
        partial(_choose, state, kind) for kind in KINDS.values() if _is_asked(state, kind)
    ]
    questions = state.catalogue.questions(state.answers)
    questions |= {"quality_threshold": THRESHOLD, "monthly_budget_usd": BUDGET}
    steps += [partial(_setting, state, key, question) for key, question in questions.items()]
    in_order(steps)


def _is_asked(state: State, kind: Kind) -> bool:
    """A kind that some feature needs one of is only asked for while such a feature is chosen."""
    if kind.name in ("pattern", "provider") or not state.catalogue.of(kind.name):
        return False
    needing = [feature for feature in state.catalogue.features if kind.name in feature.requires]
    on = state.catalogue.enabled(state.answers)
    return not needing or any(feature in on for feature in needing)


def _choose(state: State, kind: Kind) -> None:
    features = state.catalogue.of(kind.name)
    on: str | list[str] = state.answers.get(
        kind.answer_key, default_choice(state.catalogue, kind, state.answers)
    )
    width = max(len(feature.title) for feature in features)
    lines = {feature.name: f"{feature.title:<{width}}  {feature.summary}" for feature in features}
    if kind.many:
        choices = [Choice(shown, name, checked=name in on) for name, shown in lines.items()]
        builtin = [kind.builtin] if kind.builtin else []
        state.answers[kind.answer_key] = [*builtin, *many(f"Which {kind.answer_key}?", choices)]
    else:
        choices = [Choice(f"{kind.builtin} (default)", kind.builtin)]
        choices += [Choice(shown, name) for name, shown in lines.items()]
        state.answers[kind.answer_key] = one(f"Which {kind.name}?", choices, str(on))


def _setting(state: State, key: str, question: Question) -> None:
    before = state.answers.get(key, question.default)
    if question.choices:
        options = [Choice(choice, choice) for choice in question.choices]
        state.answers[key] = one(question.help, options, str(before))
        return

    def problem(typed: str) -> str | None:
        return question_problem(question, _value(typed, question))

    state.answers[key] = _value(text(question.help, _shown(before), problem), question)


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _value(typed: str, question: Question) -> Any:
    """The typed text as the question's type; what does not fit stays a text."""
    if question.type == "bool":
        return {"yes": True, "y": True, "no": False, "n": False}.get(typed.lower(), typed)
    for convert in {"int": (int,), "float": (int, float)}.get(question.type, ()):
        try:
            return convert(typed)
        except ValueError:
            continue
    return typed
