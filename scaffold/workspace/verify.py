"""Run a workspace's own checks in its own environment: lint, format, types, tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ToolError

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("install", ("uv", "sync", "--quiet")),
    ("lint", ("uv", "run", "ruff", "check")),
    ("format", ("uv", "run", "ruff", "format", "--check")),
    ("types", ("uv", "run", "basedpyright")),
    ("tests", ("uv", "run", "pytest")),
)
TAIL = 20
"""How many lines of the output of a failed check are kept."""
_NOT_PASSED_ON = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT"}


@dataclass(frozen=True, slots=True)
class Step:
    """One check: whether it passed, its seconds, and the end of its output if it failed."""

    name: str
    ok: bool
    seconds: float
    tail: str = ""


def require_uv() -> None:
    """Raise ToolError if uv is not installed."""
    if shutil.which("uv") is None:
        raise ToolError("--verify needs uv; install it with `pip install uv`, or leave it out.")


def verify(workspace: Path) -> Iterator[Step]:
    """Run the steps in order and yield each as it ends; stop after a failed install."""
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    for name, command in STEPS:
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        ok = done.returncode == 0
        tail = "" if ok else "\n".join(done.stdout.splitlines()[-TAIL:])
        yield Step(name, ok, time.monotonic() - started, tail)
        if name == "install" and not ok:
            return
