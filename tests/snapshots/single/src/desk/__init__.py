"""An agent workspace: one fleet of models behind `Workspace.handle`.

    from desk import Request, Workspace

    async with Workspace.open() as workspace:
        answer = await workspace.handle(Request("Which documents does a warranty claim need?"))

`Workspace.open(root)` reads `root/fleet.toml`. Without `root` that is the folder in FLEET_ROOT,
else the nearest folder upwards of the working directory, or of this package, with a fleet.toml.
A workspace belongs to one event loop.
"""

from typing import TYPE_CHECKING, Any

from .runtime.errors import (
    AnswerInvalid,
    BudgetReached,
    ChainExhausted,
    Escalated,
    FleetError,
    LedgerError,
    LedgerUnavailable,
    MissingKey,
    SettingsError,
    ToolsFailed,
    Unanswered,
    WrongLoop,
)
from .runtime.request import Request

if TYPE_CHECKING:
    from .runtime.subagent import SubAgent
    from .workspace import Answer, Workspace

__all__ = [
    "Answer",
    "AnswerInvalid",
    "BudgetReached",
    "ChainExhausted",
    "Escalated",
    "FleetError",
    "LedgerError",
    "LedgerUnavailable",
    "MissingKey",
    "Request",
    "SettingsError",
    "SubAgent",
    "ToolsFailed",
    "Unanswered",
    "Workspace",
    "WrongLoop",
]


def __getattr__(name: str) -> Any:
    """Import the workspace when it is asked for: `costs` and `--help` need no model library."""
    if name in ("Answer", "SubAgent", "Workspace"):
        from . import workspace

        return getattr(workspace, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
