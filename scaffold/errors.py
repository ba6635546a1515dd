"""Everything that can go wrong because of what the user asked for.

ScaffoldError                 shown as `error: …` and `hint: …`; the exit status is its class's
├── AnswersError              answers that do not fit together, all of them at once
├── HalfDoneError             an update was interrupted after it had begun to write (exit 130)
├── ManifestError             a feature folder whose feature.yml is wrong
├── MergeError                the repository cannot be merged into as it is
├── SeveralErrors             more than one of these, reported together
├── TargetError               the folder to write to is not usable
├── TemplateError             the template cannot be had, or needs another scaffold
├── ToolError                 a program scaffold needs (git, uv) is missing or failed
├── UsageError                the command line does not parse (exit 2)
└── VerifyError               rendered, but its own lint, types or tests fail (exit 4)
"""

import difflib
import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit statuses of the program."""

    DONE = 0
    MISTAKE = 1
    """The user's mistake; nothing was written."""
    USAGE = 2
    """The command line does not parse."""
    LEFT = 3
    """Conflicts are left for the team, or the workspace is behind its template."""
    NOT_VERIFIED = 4
    """The workspace was written, but does not pass its own checks."""
    INTERRUPTED = 130


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the hint for a name that is not known: the nearest one, or all of them."""
    choices = list(known)
    if "," in word and any(one.strip() in choices for one in word.split(",")):
        return f"write a list: [{', '.join(one.strip() for one in word.split(','))}]"
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(choices)}" if choices else "there is none to choose yet"


def printable(text: str, most: int = 40) -> str:
    """Return a text that someone typed, printable and of at most that many characters."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


_SYSTEM_HINTS = {
    errno.ENOSPC: "make room on that disk, or set TMPDIR to a folder on another one",
    errno.EDQUOT: "make room within your quota, or set TMPDIR to a folder elsewhere",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f unlimited`)",
    errno.EMFILE: "raise the limit on open files (`ulimit -n 4096`)",
    errno.EROFS: "name a folder on a file system that can be written",
    errno.EACCES: "name a folder that you may write, or change its permissions",
}


def system_hint(error: OSError) -> str:
    """Return what to do about what the system refused; empty where nothing is known."""
    return _SYSTEM_HINTS.get(error.errno or 0, "")


def is_system_error(error: BaseException) -> bool:
    """Tell whether an error is about the machine's state: its room, its limits, its permissions."""
    return isinstance(error, OSError) and error.errno in _SYSTEM_HINTS


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one answer: its key, what is wrong, and what to do instead."""

    key: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}; {self.hint}"

    def as_json(self) -> dict[str, str]:
        """Return the problem under the keys that `--json` has for it."""
        return {"key": self.key, "what": self.what, "way_out": self.hint}


class ScaffoldError(Exception):
    """The base: what is wrong and, as `hint`, what to do; neither ever holds a secret.

    A text alone is split at its last semicolon: "what is wrong; what to do".
    """

    exit_status = ExitStatus.MISTAKE
    problems: tuple[Problem, ...] = ()
    """What is wrong with answers, where the error is about answers."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(f"{problem}; {hint}" if hint else problem)
        first, _, last = problem.rpartition("; ")
        self.pairs: tuple[tuple[str, str], ...] = (
            ((problem, hint),) if hint or not first else ((first, last),)
        )
        """What is printed, in this order: each problem with its hint, which may be empty."""


class AnswersError(ScaffoldError):
    """Every problem of one set of answers, reported together (one line each)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
        self.pairs = tuple((f"{one.key}: {one.what}", one.hint) for one in self.problems)


class HalfDoneError(ScaffoldError):
    """An update was interrupted after it had begun to write: says how to go on and how to go back."""

    exit_status = ExitStatus.INTERRUPTED


class ManifestError(ScaffoldError):
    """A feature.yml that cannot be used: names the file, the field and the fix."""


class MergeError(ScaffoldError):
    """Not in git, uncommitted work, another operation under way: says what to do first."""


class SeveralErrors(ScaffoldError):
    """What several checks of one run refused, a line each."""

    def __init__(self, errors: Sequence[ScaffoldError]) -> None:
        self.problems = tuple(problem for error in errors for problem in error.problems)
        super().__init__("\n".join(map(str, errors)))
        self.pairs = tuple(pair for error in errors for pair in error.pairs)


class TargetError(ScaffoldError):
    """The target folder exists and is not empty, cannot be written, or is not a workspace."""


class TemplateError(ScaffoldError):
    """The template cannot be had: unknown version, unreadable source, or too new for this scaffold."""


class ToolError(ScaffoldError):
    """A program is missing, too old, or failed: names it and the way to get on without it."""


class UsageError(ScaffoldError):
    """The command line itself does not parse."""

    exit_status = ExitStatus.USAGE


class VerifyError(ScaffoldError):
    """The workspace was rendered and kept, but a check of its own failed."""

    exit_status = ExitStatus.NOT_VERIFIED
