"""Answers of unknown shape become a `PartialSpec`: unknown keys and wrong types are problems."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from scaffold.answers.spec import MAIN_KEYS, Chains, PartialSpec
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.kinds import KINDS
from scaffold.errors import Problem, printable, suggest

MOST_KEYS = 20
"""List at most this many unknown keys: beyond that the file is probably not an answers file."""

# For these keys, null takes an answer back; for all others it is a mistake.
_NULLABLE = ("agents", "chains")

_HINTS = {
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
_PLAIN_WORDS = {
    " a valid dictionary or instance of agent": " a mapping",
    " a valid dictionary": " a mapping",
    " a valid string": " text",
    " a valid": " a",
    "extra inputs are not permitted": "is not a key of a sub-agent",
    "field required": "is missing",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""pydantic's words, and those that fit the other messages."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The answers of the right shape, and what is wrong with the others."""

    spec: PartialSpec
    unknown: tuple[Problem, ...] = ()
    misshapen: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, unknown keys first."""
        return self.unknown + self.misshapen


@dataclass(frozen=True, slots=True)
class Changes:
    """What `--set` changes of a workspace's answers.

    Attributes:
        spec: The new answers; of `chains`, only those that are named.
        cleared: The keys that get their default back.
        dropped_chains: The chains that are taken out, or get their default back if they are used.
    """

    spec: PartialSpec
    cleared: tuple[str, ...] = ()
    dropped_chains: frozenset[str] = frozenset()

    def apply(self, answers: PartialSpec) -> PartialSpec:
        """Return changed answers."""
        cleared = answers.replace(**dict.fromkeys(self.cleared))
        merged = cleared.merge(self.spec)
        if merged.chains is None:
            return merged
        chains: Chains = {**(cleared.chains or {}), **merged.chains}
        kept = {name: refs for name, refs in chains.items() if name not in self.dropped_chains}
        return merged.replace(chains=kept)


def known_keys(catalog: Catalog) -> set[str]:
    """Return every answer key there is, with those of features that are not chosen."""
    return {*MAIN_KEYS, *catalog.question_keys()}


def parse(answers: Mapping[str, object], questions: Collection[str]) -> Parsed:
    """Check the shape of answers, once and for all.

    Args:
        answers: The answers by key, of any shape.
        questions: The keys of the questions of features.
    """
    known = {*MAIN_KEYS, *questions}
    main = {key: value for key, value in answers.items() if key in MAIN_KEYS}
    main = {k: v for k, v in main.items() if not (v is None and k in _NULLABLE)}
    misshapen = _check_shape(main)
    # A problem's key is a path such as agents.0.tools; its first part is the answer key.
    bad = {problem.key.split(".")[0] for problem in misshapen}
    sound = {key: value for key, value in main.items() if key not in bad}
    settings = {key: value for key, value in answers.items() if key in questions}
    spec = PartialSpec.model_validate({**sound, "settings": settings})
    return Parsed(spec, tuple(_list_unknown(answers, known)), tuple(misshapen))


def parse_changes(
    changes: Mapping[str, object], questions: Collection[str]
) -> tuple[Changes, tuple[Problem, ...]]:
    """Check the shape of changed answers; null takes an answer, or a chain of a map, back."""
    plain = dict(changes)
    dropped: set[str] = set()
    if isinstance(chains := plain.get("chains"), dict):
        table = cast(dict[str, Any], chains)
        # `--set "chains={legal: null}"` is how a team gives a chain up, or back to its default.
        dropped = {name for name, refs in table.items() if refs is None}
        plain["chains"] = {name: refs for name, refs in table.items() if refs is not None}
    parsed = parse(plain, questions)
    cleared = tuple(key for key in _NULLABLE if key in plain and plain[key] is None)
    return Changes(parsed.spec, cleared, frozenset(dropped)), parsed.problems


def _check_shape(main: Mapping[str, object]) -> list[Problem]:
    empty = [key for key, value in main.items() if value is None]
    # A field of PartialSpec may be None, an answer may not: pydantic is asked what it should be.
    table = {key: object() if key in empty else value for key, value in main.items()}
    try:
        PartialSpec.model_validate(table)
    except ValidationError as error:
        return [_to_problem(detail["loc"], detail["msg"]) for detail in error.errors()]
    return []


def _to_problem(place: tuple[int | str, ...], message: str) -> Problem:
    key = ".".join(printable(str(part)) for part in place)
    what = message.lower().replace("input should be", "should be")
    for words, plain in _PLAIN_WORDS.items():
        what = what.replace(words, plain)
    return Problem(key, what, _HINTS[str(place[0])])


def _list_unknown(answers: Mapping[str, object], known: Collection[str]) -> list[Problem]:
    """Return the keys that are not answer keys, each with the nearest one that is."""
    sorted_ = sorted(known)
    unknown = [key for key in answers if key not in known]
    problems = [
        Problem(printable(key), "is not an answer key", suggest(printable(key), sorted_))
        for key in unknown[:MOST_KEYS]
    ]
    if more := unknown[MOST_KEYS:]:
        what = f"{len(more)} more keys are not answer keys"
        problems.append(Problem("answers", what, "name a file of answers"))
    return problems
