"""Which providers, pipelines, sub-agents and router this workspace has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .agents import (
    analyst,
)
from .router import Router
from .runtime import (
    checks,
    escalation,
    stream,
)
from .runtime.attempt import MakeCheck, MakeHuman, OpenStream
from .runtime.fleet import Provider
from .runtime.providers import (
    anthropic,
    openai,
)
from .runtime.run import SubAgent, Toolsets

PROVIDERS: dict[str, Provider] = {
    "anthropic": anthropic,
    "openai": openai,
}

AGENTS: dict[str, SubAgent[Any]] = {
    "analyst": analyst.AGENT,
}

PIPELINES: dict[str, Any] = {}

TOOLSETS: list[Toolsets] = []

READERS: list[Callable[[Path], str]] = []

ROUTER = Router()

# Named in `checks = ["name", "name:argument"]` of a stage; add the team's own here.
CHECKS: dict[str, MakeCheck] = {
    **checks.CHECKS,
}

HUMAN: MakeHuman | None = escalation.human

STREAM: OpenStream | None = stream.open_stream
