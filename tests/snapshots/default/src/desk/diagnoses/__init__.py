"""What `doctor` looks for besides what `ask` needs. It is listed here because it reads wiring.py."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ..runtime.errors import FleetError
from ..runtime.fleet import Fleet
from . import (
    escalation,
    limits,
    models,
    settings,
)

Diagnose = Callable[[Path, Fleet], Iterable[FleetError | str]]
"""Yields an error for each thing in a workspace's folder that stops `ask`, and notes on others."""

DIAGNOSES: list[Diagnose] = [
    settings.diagnose,
    limits.diagnose,
    models.diagnose,
    escalation.diagnose,
]
