"""Which providers, pipelines, sub-agents and router this workspace has."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .agents import analyst as agent_analyst
from .router import Router
from .runtime import (
    checks,
    content,
    escalation,
)
from .runtime.attempt import MakeCheck, MakeHuman, OpenStream, OpenTexts
from .runtime.fleet import Provider
from .runtime.ledger.saving import Baseline
from .runtime.providers import (
    anthropic,
    openai,
)
from .runtime.run import Equip, SubAgent

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

# What else a sub-agent may name under `[agents.X]`, by the key there.
AGENT_KEYS: dict[str, Equip | type[Any]] = {}

READERS: list[Callable[[Path], str]] = []

# Named in `checks = ["name", "name:argument"]` of a stage; add the team's own here.
CHECKS: dict[str, MakeCheck] = {
    **checks.CHECKS,
}

ROUTER = Router()
HUMAN: MakeHuman | None = escalation.human
STREAM: OpenStream | None = None

# Each changes a prompt or an answer before it is stored, which `record_content` has to ask for.
REDACT: list[Callable[[str], str]] = []
TEXTS: OpenTexts | None = partial(content.texts, redact=REDACT)
