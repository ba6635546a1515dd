"""Walls around a process that renders somebody else's template: limits, and no way out.

The sandbox of Jinja is the first wall. This is the second: whatever a template makes copier or a
library do, the process may read the template and Python itself, write the render, and nothing else.
"""

import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffold.errors import TemplateError

_FORBIDDEN = (
    "ctypes.", "ftplib.", "os.exec", "os.fork", "os.kill", "os.link", "os.posix_spawn", "os.spawn",
    "os.startfile", "os.symlink", "os.system", "os.truncate", "pty.", "socket.", "subprocess.",
    "urllib.", "webbrowser.",
)  # fmt: skip
_FOLDERS = ("os.listdir", "os.scandir", "os.remove", "os.rename", "os.rmdir", "os.mkdir")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True)
class Limits:
    """What rendering a template that is not ours may take; sizes in bytes."""

    cpu_s: int = 60
    wall_s: int = 300
    memory: int = 1_000_000_000
    one_file: int = 20_000_000
    all_files: int = 200_000_000
    files: int = 10_000


LIMITS = Limits()


def confine(root: Path, target: Path, limits: Limits) -> None:
    """Hold this process to the limits, to reading `root` and to writing `target`, for good."""
    _limit(limits)
    sys.dont_write_bytecode = True
    guard = _Guard(root, target, limits)
    # A module that is imported late is looked for where it may be read, and nowhere else.
    sys.path[:] = [path for path in sys.path if guard.reads(path)]
    sys.addaudithook(guard)


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:
        # Windows has none of these; the time by the clock holds there as well.
        return
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_FSIZE: limits.one_file,
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in wanted.items():
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(what, (allowed, hard))
        except (OSError, ValueError):
            # macOS does not take a limit on address space.
            continue


class _Guard:
    """Refuses, as an audit hook, what a render has no business doing."""

    def __init__(self, root: Path, target: Path, limits: Limits) -> None:
        self.target = os.path.realpath(target)
        self.limits = limits
        self.files = 0
        self.size = 0
        self.last = ""
        python = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
        packages = {str(Path(str(module.__file__)).parents[1]) for module in _libraries()}
        places = [str(root), str(target), *python, *packages, "/usr/share/zoneinfo"]
        self.readable = tuple({os.path.realpath(place) for place in places})

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._open(*args)
        elif event in _FOLDERS:
            only_read = event in ("os.listdir", "os.scandir")
            self._require(args[0], self.readable if only_read else (self.target,))
        elif event.startswith(_FORBIDDEN):
            raise TemplateError(
                f"The template makes copier do what a render never does ({event}); take it out."
            )

    def _open(self, path: object, _mode: object, flags: object) -> None:
        if isinstance(path, int) or path == os.devnull:
            return
        if not (isinstance(flags, int) and flags & _WRITES):
            self._require(path, self.readable)
            return
        self._require(path, (self.target,))
        self.files += 1
        self.size += (
            Path(self.last).stat().st_size if self.last and Path(self.last).is_file() else 0
        )
        self.last = os.fsdecode(str(path))
        if self.files > self.limits.files or self.size > self.limits.all_files:
            raise TemplateError(
                f"The template renders more than {self.limits.files:,} files or"
                f" {self.limits.all_files // 1_000_000} MB; look for a `yield` or a loop too many."
            )

    def reads(self, path: str) -> bool:
        """Tell whether a path may be read."""
        return _is_in(os.path.realpath(path), self.readable)

    def _require(self, path: object, places: tuple[str, ...]) -> None:
        if path is None or isinstance(path, int):
            return
        real = os.path.realpath(os.fsdecode(path if isinstance(path, bytes) else str(path)))
        if not _is_in(real, places):
            raise TemplateError(
                f"The template makes copier open {real[:200]}, which is outside of it; keep every"
                " path inside the template."
            )


def _is_in(real: str, places: tuple[str, ...]) -> bool:
    return any(real == place or real.startswith(place + os.sep) for place in places)


def _libraries() -> list[Any]:
    """The packages that a render reads its own data from, imported before the door is shut."""
    import copier
    import jinja2
    import yaml

    import scaffold

    return [copier, jinja2, yaml, scaffold]
