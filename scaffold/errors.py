"""Everything that can go wrong because of what the user asked for.

ScaffoldError                 shown as one line; the exit status is its class's
├── AnswersError              answers that do not fit together, all of them at once
├── ManifestError             a feature folder whose feature.yml is wrong
├── MergeError                the repository is in no state to be merged into
├── SeveralErrors             more than one of these, told together
├── TargetError               the folder to write to is not usable
├── TemplateError             the template cannot be had, or needs another scaffold
├── ToolError                 a program scaffold needs (git, uv) is missing or failed
├── UsageError                the command line does not parse (exit 2)
└── VerifyError               rendered, but its own lint, types or tests fail (exit 4)
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ScaffoldError(Exception):
    """The base: its text is advice to the user, in one line, and never holds a secret."""

    exit_status = 1


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one answer: its key, what is wrong, and what to do instead."""

    key: str
    what: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}; {self.way_out}"


class AnswersError(ScaffoldError):
    """Every problem of one set of answers, reported together (one line each)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ManifestError(ScaffoldError):
    """A feature.yml that cannot be used: names the file, the field and the fix."""


class MergeError(ScaffoldError):
    """Not in git, uncommitted work, another operation under way: says what to do first."""


class SeveralErrors(ScaffoldError):
    """What several checks of one run refused, a line each."""

    def __init__(self, errors: Sequence[ScaffoldError]) -> None:
        self.problems = tuple(
            problem
            for error in errors
            if isinstance(error, AnswersError)
            for problem in error.problems
        )
        super().__init__("\n".join(map(str, errors)))


class TargetError(ScaffoldError):
    """The target folder exists and is not empty, cannot be written, or is no workspace."""


class TemplateError(ScaffoldError):
    """The template cannot be had: unknown version, unreadable source, or too new for this scaffold."""


class ToolError(ScaffoldError):
    """A program is missing, too old, or failed: names it and the way to get on without it."""


class UsageError(ScaffoldError):
    """The command line itself does not parse."""

    exit_status = 2


class VerifyError(ScaffoldError):
    """The workspace was rendered and kept, but a check of its own failed."""

    exit_status = 4
