"""The registry of this workspace: what is looked up by name, and the module that it is in.

Commands are in `commands/__init__.py`, because they read this registry.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .agents import analyst as agent_analyst
from .router import Router
from .runtime import (
    checks,
)
from .runtime.fleet import Fleet, Provider
from .runtime.ledger import (
    baseline,
    findings,
    findings_failures,
)
from .runtime.ledger.findings import Forecast, SearchFindings
from .runtime.ledger.location import FileFormat, OpenServer
from .runtime.ledger.report_text import AttemptSums, ShowSaving
from .runtime.ledger.saving import Baseline
from .runtime.providers import (
    anthropic,
    openai,
)
from .runtime.run import MakeCheck
from .runtime.subagent import Equip, SubAgent

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .runtime.ledger.prices import Prices
    from .runtime.shared import Human, MakeHuman, OpenStream, OpenTexts

PROVIDERS: dict[str, Provider] = {
    "anthropic": anthropic,
    "openai": openai,
}

AGENTS: dict[str, SubAgent[Any]] = {
    "analyst": agent_analyst.AGENT,
}

PIPELINES: dict[str, Any] = {}

# What one model would read and write of a pipeline, by stages: the saving is measured against it.
# A pipeline that is not here is compared with its last call.
BASELINES: dict[str, Baseline] = {}

# What `costs` says of the saving against the model of `[baseline]`.
SAVING: ShowSaving | None = partial(baseline.show_saving, baselines=BASELINES)

# What else a sub-agent may name under `[agents.X]`, by the key there.
AGENT_KEYS: dict[str, Equip | type[Any]] = {}

# How `run` reads a file; None: as UTF-8 text.
READER: Callable[[Path], str] | None = None

# Named in `checks = ["name", "name:argument"]` of a stage; add the team's own here.
CHECKS: dict[str, MakeCheck] = {
    **checks.CHECKS,
}

ROUTER = Router()


def open_escalation(root: Path, fleet: Fleet) -> "Human":
    """Open the tickets of the persons at the end of chains."""
    from .runtime import escalation

    return escalation.human(root, fleet)


def load_prices() -> "type[Prices]":
    """Return what knows the prices; its library is loaded now."""
    from .runtime.ledger import exact_prices

    return exact_prices.ExactPrices


# The person at the end of a chain, streaming and stored texts; None without the extra for it.
HUMAN: "MakeHuman | None" = open_escalation
STREAM: "OpenStream | None" = None
TEXTS: "OpenTexts | None" = None
# What knows more prices than the lists; None without the extra for it.
PRICES: "Callable[[], type[Prices]] | None" = load_prices

# What a model goes through before it is first asked.
ADAPT: "Callable[[Model], Model] | None" = None

# Where a ledger may be besides a file of SQLite, by the scheme of FLEET_LEDGER_URL.
LEDGERS: dict[str, OpenServer] = {}

# File formats of `ledger export` and `ledger import` besides CSV and JSON Lines, by suffix.
FILE_FORMATS: dict[str, Callable[[], FileFormat]] = {}

# Sums of `costs` by what only attempts have: the sub-agent, the user, a tag.
ATTEMPT_SUMS: AttemptSums | None = None

# What `costs` looks for; the dearest finding is shown first.
FINDINGS: list[SearchFindings] = [
    findings.search,
    findings_failures.search,
]
FORECAST: Forecast | None = None
