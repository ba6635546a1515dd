"""A workspace's own checks, in its own environment: lint, format, types, tests."""

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
_OURS = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT"}


@dataclass(frozen=True, slots=True)
class Step:
    """One check: whether it passed, its seconds, and the end of its output if it did not."""

    name: str
    ok: bool
    seconds: float
    tail: str = ""


def require_uv() -> None:
    """Raise ToolError if there is no uv."""
    if shutil.which("uv") is None:
        raise ToolError("--verify needs uv; install it with `pip install uv`, or leave it out.")


def verify(workspace: Path) -> Iterator[Step]:
    """Run the steps in order, each yielded as it ends; after a failed install, none."""
    environment = {key: value for key, value in os.environ.items() if key not in _OURS}
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
