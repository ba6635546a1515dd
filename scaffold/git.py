"""The one place that starts git: deaf to variables that would point it at another repository."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scaffold.errors import ToolError

_ELSEWHERE = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""What git sets for its hooks (`git rev-parse --local-env-vars`), less the user's settings."""


class GitError(ToolError):
    """git ran and failed; its text is git's own, in one line."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for git: the user's, with `more`; it never prompts."""
    kept = {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}
    return kept | {"GIT_TERMINAL_PROMPT": "0"} | dict(more or {})


def installed() -> bool:
    """Whether there is a git to start."""
    return shutil.which("git") is not None


def git(
    *words: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    allowed: Collection[int] = (0,),
    feed: str = "",
    held: Sequence[int] = (),
) -> str:
    """What git printed, byte for byte but for the last line's end; `feed` is its input.

    `held` are open files it keeps open as well. Raises GitError, ToolError without a git.
    """
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd,
            env=environment(env),
            input=feed.encode("utf-8", "surrogateescape"),
            capture_output=True,
            pass_fds=held,
        )
    except FileNotFoundError:
        if installed() and not cwd.is_dir():
            raise GitError(f"{cwd} is gone") from None
        raise ToolError("git is not installed; install it and try again.") from None
    if done.returncode not in allowed:
        told = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise GitError(told or f"git {words[0]} failed")
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
