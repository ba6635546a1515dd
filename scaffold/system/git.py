"""The one place that starts git: no variable of the caller points it at another repository."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scaffold.errors import ToolError

_NOT_PASSED_ON = frozenset(
    {
        # What git sets for its hooks (`git rev-parse --local-env-vars`), less the user's settings.
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
        # What would change the meaning of a path, or what is printed.
        "GIT_ATTR_SOURCE",
        "GIT_DEFAULT_HASH",
        "GIT_DIFF_OPTS",
        "GIT_EXTERNAL_DIFF",
        "GIT_GLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
    }
)
_FIXED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    # A refusal to convert line ends and back would stop a first commit.
    "core.safecrlf=false",
    "core.splitIndex=false",
    "gc.auto=0",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    "maintenance.auto=false",
    # A folder that looks like a bare repository may be a stranger's: --git-dir names ours.
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
)
_GIT = ("git", *(word for setting in _FIXED for word in ("-c", setting)))
_MAKE_ROOM = "free some, or set TMPDIR to a folder on another disk"
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "Out of diskspace")


class RoomError(ToolError):
    """A disk is full, whatever git was doing."""


class GitError(ToolError):
    """git ran and failed; its text is git's own, in one line."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for git: the user's, with `more`; it never prompts."""
    kept = {
        key: value
        for key, value in os.environ.items()
        # An empty name stops a commit, as if none could be found in the settings.
        if key not in _NOT_PASSED_ON and (value or not re.match("GIT_(AUTHOR|COMMITTER)_", key))
    }
    return kept | {"GIT_TERMINAL_PROMPT": "0"} | dict(more or {})


def is_installed() -> bool:
    """Tell whether git is installed."""
    return shutil.which("git") is not None


def git(
    *words: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    allowed: Collection[int] = (0,),
    feed: str = "",
    held: Sequence[int] = (),
) -> str:
    """Run git and return what it printed, without the last line's end.

    Hooks, daemons and garbage collection never start. `allowed` are the exit statuses that are not
    an error, `feed` is the text of its standard input, `held` are open files that it inherits.

    Raises:
        GitError: git failed.
        RoomError: A disk is full.
        ToolError: git is not installed.
    """
    try:
        done = subprocess.run(
            [*_GIT, *words],
            cwd=cwd,
            env=environment(env),
            input=feed.encode("utf-8", "surrogateescape"),
            capture_output=True,
            pass_fds=held,
        )
    except FileNotFoundError:
        if is_installed() and not cwd.is_dir():
            raise GitError(f"{cwd} is gone") from None
        raise ToolError("git is not installed; install it and try again.") from None
    if done.returncode not in allowed:
        raise _error(done.stderr, words)
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def read_output_start(*words: str, cwd: Path, env: Mapping[str, str], most: int) -> bytes:
    """Return the first `most` bytes of what git prints; git is stopped there."""
    with subprocess.Popen(
        [*_GIT, *words],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout
        begins = running.stdout.read(most)
        running.kill()
    return begins


def _error(stderr: bytes, words: Sequence[str]) -> ToolError:
    text = " ".join(stderr.decode("utf-8", "replace").split())
    if any(sign in text for sign in _NO_ROOM):
        return RoomError(f"A disk is full: {text}", _MAKE_ROOM)
    return GitError(text or f"git {words[0]} failed")
