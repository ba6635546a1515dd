"""A git repository for a new workspace, so that later updates have something to merge with."""

import shutil
import subprocess
from pathlib import Path

from scaffold.errors import ToolError

_NEUTRAL = ("-c", "user.name=scaffold", "-c", "user.email=scaffold@localhost")


def require_git() -> None:
    """Raise ToolError if there is no git."""
    if shutil.which("git") is None:
        raise ToolError("git is not installed; install it, or pass --no-git (updates need git).")


def inside_work_tree(path: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, is in a git work tree."""
    place = path.absolute()
    while not place.is_dir():
        place = place.parent
    asked = subprocess.run(
        ["git", "rev-parse", "--is-inside-work-tree"], cwd=place, capture_output=True, text=True
    )
    return asked.stdout.strip() == "true"


def init(folder: Path, message: str) -> None:
    """Make a repository with one commit; no hook runs and nothing is signed."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    known = subprocess.run(["git", "config", "user.email"], cwd=folder, capture_output=True)
    identity = () if known.returncode == 0 else _NEUTRAL
    quiet = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
    _git(folder, *identity, *quiet, "commit", "--quiet", "--message", message)


def _git(folder: Path, *words: str) -> None:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        told = " ".join(done.stderr.split())
        raise ToolError(f"git {words[0]} failed: {told}; pass --no-git to go on without it.")
