"""What is wrong with the types of answers, in our words and with an example of each."""

from pydantic import ValidationError

from scaffold.errors import Problem
from scaffold.feature import KINDS
from scaffold.problems.wording import shown

_FORMS = {
    "agents": "write a list such as [{name: billing, description: Invoices, chain: cheap}]",
    "chains": "write a mapping such as {cheap: [openai:gpt-6-luna]}",
    "quality_threshold": "write a number from 0 to 1",
    "monthly_budget_usd": "write US dollars, 0 for no budget",
    **dict.fromkeys(("project_name", "package", "description"), "write it in quotes"),
    **{
        kind.answer_key: "write a list of names" if kind.many else "write one name"
        for kind in KINDS.values()
    },
}

_WORDS = {
    " a valid dictionary or instance of agent": " a mapping",
    " a valid dictionary": " a mapping",
    " a valid string": " text",
    " a valid": " a",
    "extra inputs are not permitted": "is not a key of a sub-agent",
    "field required": "is missing",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""What pydantic says, in words that are not its own."""


def of_shape(error: ValidationError) -> list[Problem]:
    """The problems that a model of answers found."""
    return [_problem(detail["loc"], detail["msg"]) for detail in error.errors()]


def _problem(place: tuple[int | str, ...], told: str) -> Problem:
    key = ".".join(shown(str(part)) for part in place)
    what = told.lower().replace("input should be", "should be")
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    return Problem(key, what, _FORMS[str(place[0])])
