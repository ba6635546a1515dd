"""Every error a workspace raises on purpose; its text is advice, in one line.

FleetError
├── SettingsError, MissingKey, BudgetReached    the team has to change something
├── ChainExhausted, AnswerInvalid, ToolsFailed  whoever was asked gave nothing of use
├── Escalated, Unanswered                       a person will answer, or none will
└── LedgerError                                 the ledger cannot be opened or written
    └── LedgerUnavailable                       nothing is sent while rows are in memory alone
"""

from collections.abc import Sequence


class FleetError(Exception):
    """The base of all errors of this workspace."""


class SettingsError(FleetError):
    """A settings file is wrong: names the file, the key and the way out."""


class MissingKey(FleetError):
    """No provider of a chain can be asked: names the environment variables to set."""


class ChainExhausted(FleetError):
    """No model of a chain gave an acceptable answer; holds what each attempt raised, in order."""

    def __init__(self, chain: str, failures: Sequence[tuple[str, str]]) -> None:
        self.chain = chain
        self.failures = tuple(failures)
        told = "; ".join(f"{model}: {reason}" for model, reason in failures)
        super().__init__(
            f"No model of chain '{chain}' answered ({told}). See `costs` and `doctor`."
        )


class BudgetReached(FleetError):
    """Nothing was asked: the named budget is used up."""


class Escalated(FleetError):
    """No model answered; a person will. `ticket` finds the answer later."""

    def __init__(self, ticket: str) -> None:
        self.ticket = ticket
        super().__init__(f"Waiting for a person: ticket {ticket}, see `escalations`.")


class Unanswered(FleetError):
    """No person will answer. `reason` is the ledger's: inbox_full, closed or expired."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class AnswerInvalid(FleetError):
    """An accepted completion that does not parse as the sub-agent's output type."""


class ToolsFailed(FleetError):
    """A sub-agent with tools gave no answer: a tool raised, or `max_requests` was reached."""


class LedgerError(FleetError):
    """The ledger database is locked, full, read-only or no database."""


class LedgerUnavailable(LedgerError):
    """Nothing was asked: attempts that were paid for cannot be recorded, and wait in memory."""
