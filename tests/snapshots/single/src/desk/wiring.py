"""The registry of this workspace: what is looked up by name, and the module that it is in.

Commands are in `commands/__init__.py`, because they read this registry.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .runtime.fleet import Provider
from .runtime.ledger.location import FileFormat, OpenServer
from .runtime.ledger.report_text import AttemptSums, ShowSaving
from .runtime.providers import (
    anthropic,
    openai,
)
from .runtime.run import FixedRouter, MakeCheck
from .runtime.subagent import Equip, SubAgent

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .runtime.ledger.prices import Prices
    from .runtime.shared import MakeHuman, OpenStream, OpenTexts

PROVIDERS: dict[str, Provider] = {
    "anthropic": anthropic,
    "openai": openai,
}

AGENTS: dict[str, SubAgent[Any]] = {}

PIPELINES: dict[str, Any] = {}

# What `costs` says of the saving against the model of `[baseline]`.
SAVING: ShowSaving | None = None

# What else a sub-agent may name under `[agents.X]`, by the key there.
AGENT_KEYS: dict[str, Equip | type[Any]] = {}

# How `run` reads a file; None: as UTF-8 text.
READER: Callable[[Path], str] | None = None

# Named in `checks = ["name", "name:argument"]` of a stage; add the team's own here.
CHECKS: dict[str, MakeCheck] = {}

ROUTER = FixedRouter()
# The person at the end of a chain, streaming and stored texts; None without the extra for it.
HUMAN: "MakeHuman | None" = None
STREAM: "OpenStream | None" = None
TEXTS: "OpenTexts | None" = None
# What knows more prices than the lists; None without the extra for it.
PRICES: "Callable[[], type[Prices]] | None" = None

# What a model goes through before it is first asked.
ADAPT: "Callable[[Model], Model] | None" = None

# Where a ledger may be besides a file of SQLite, by the scheme of FLEET_LEDGER_URL.
LEDGERS: dict[str, OpenServer] = {}

# File formats of `ledger export` and `ledger import` besides CSV and JSON Lines, by suffix.
FILE_FORMATS: dict[str, Callable[[], FileFormat]] = {}

# Sums of `costs` by what only attempts have: the sub-agent, the user, a tag.
ATTEMPT_SUMS: AttemptSums | None = None
