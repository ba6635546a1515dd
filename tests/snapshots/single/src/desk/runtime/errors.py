"""Define every error that a workspace raises on purpose: what is wrong, and what to do.

FleetError
├── SettingsError, MissingKey, BudgetReached    the team has to change something
├── WrongLoop                                   as well: in the program that asks
├── ChainExhausted, AnswerInvalid, ToolsFailed  whoever was asked gave nothing of use
├── Escalated, Unanswered                       a person will answer, or none will
└── LedgerError                                 the ledger cannot be opened or written
    └── LedgerUnavailable                       nothing is sent while rows are in memory alone
"""

import errno
from collections.abc import Iterator, Sequence
from socket import gaierror

from .redaction import redact_data


class FleetError(Exception):
    """The base of all errors: what is wrong and, as `hint`, what to do.

    The command line prints `error: …` and, on a line of its own, `hint: …`; `str` joins the two
    with a colon. Neither ends in a full stop, and neither holds a secret, whatever it quotes.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        self.problem, self.hint = redact_data((problem, hint))
        super().__init__(f"{self.problem}: {self.hint}" if hint else self.problem)


class SettingsError(FleetError):
    """A settings file is wrong: the problem names the file and the key."""


class MissingKey(FleetError):
    """No provider of a chain can be asked: the hint names the environment variables to set."""


class WrongLoop(FleetError):
    """A workspace is used from a second event loop."""

    def __init__(self) -> None:
        super().__init__(
            "This workspace belongs to the event loop that used it first",
            "keep one loop for all requests, or open a Workspace inside each `asyncio.run`",
        )


class ChainExhausted(FleetError):
    """No model of a chain gave an acceptable answer; `failures` are its attempts, in order."""

    def __init__(self, chain: str, failures: Sequence[tuple[str, str]], hint: str = "") -> None:
        self.chain = chain
        self.failures = tuple(failures)
        reasons = "; ".join(f"{model}: {reason}" for model, reason in failures)
        hint = f"{hint}; see `costs` and `doctor`" if hint else "see `costs` and `doctor`"
        super().__init__(f"No model of chain '{chain}' answered ({reasons})", hint)


class BudgetReached(FleetError):
    """Nothing was asked: the named budget is used up."""


class Escalated(FleetError):
    """No model answered; a person will. `ticket` finds the answer later."""

    def __init__(self, ticket: str) -> None:
        self.ticket = ticket
        super().__init__(f"Ticket {ticket} waits for a person", "see `escalations`")


class Unanswered(FleetError):
    """No person will answer. `reason` is the ledger's: inbox_full, closed or expired."""

    def __init__(self, reason: str, problem: str, hint: str = "") -> None:
        self.reason = reason
        super().__init__(problem, hint)


class AnswerInvalid(FleetError):
    """An accepted completion that does not parse as the sub-agent's output type."""


class ToolsFailed(FleetError):
    """A sub-agent with tools gave no answer: a tool raised, or `max_requests` was reached."""


class LedgerError(FleetError):
    """The ledger database is locked, full, read-only or not a database."""


class LedgerUnavailable(LedgerError):
    """Nothing was asked: attempts that were paid for cannot be recorded, and wait in memory."""


_REMEDIES = {
    errno.EMFILE: "raise `ulimit -n`, or lower [limits] of fleet.toml",
    errno.ENFILE: "the whole machine has too many files open",
    errno.ENOMEM: "the machine has no memory left",
    errno.EAGAIN: "raise `ulimit -u`, or lower [limits] of fleet.toml",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EACCES: "give the program's user the right to read it",
    errno.EPERM: "give the program's user the right to read it",
}
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
"""What this machine has run out of is not a provider's fault."""


def find_remedy(error: OSError) -> str:
    """Return what helps against an error of the system; "" where nothing is known."""
    return _REMEDIES.get(error.errno or 0, "")


def find_exhaustion(error: BaseException) -> OSError | None:
    """Return what this machine has run out of, if that is behind an error."""
    for one in _causes(error):
        if isinstance(one, OSError) and one.errno in EXHAUSTED:
            return one
        if isinstance(one, MemoryError):
            return OSError(errno.ENOMEM, "Out of memory")
        if isinstance(one, RuntimeError) and str(one).startswith("can't start new thread"):
            return OSError(errno.EAGAIN, "No further thread can be started")
    return None


def explain_lookup(error: BaseException) -> str:
    """Return what to check if a server's name could not be looked up; "" if that is not why."""
    if any(isinstance(one, gaierror) for one in _causes(error)):
        return "its name cannot be looked up (DNS): check the network, and base_url in fleet.toml"
    return ""


def _causes(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    """Yield an error and whatever it was raised from, groups opened."""
    if error is None or depth > 20:
        return
    yield error
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        yield from _causes(one, depth + 1)  # pyright: ignore[reportUnknownArgumentType]
    yield from _causes(error.__cause__ or error.__context__, depth + 1)
