"""Confine a process that renders somebody else's template: limits, and no way out.

The sandbox of Jinja is the first wall. This is the second: whatever a template makes copier or a
library do, the process may read the template and Python itself, write the render, and nothing else.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from scaffold.errors import ExitStatus, ScaffoldError, TemplateError

# Names of Python's audit events, or their beginnings: programs, networks, links, other processes.
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
        # Windows has none of these limits; the time by the clock holds there as well.
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
    """An audit hook that refuses what a render never does."""

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
        # Measured when the next file is opened: what is open now is not on the disk yet.
        if self.last and Path(self.last).is_file():
            self.size += Path(self.last).stat().st_size
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
    """Return the packages that a render reads data from, imported while that is still allowed."""
    import copier
    import jinja2
    import yaml

    import scaffold

    return [copier, jinja2, yaml, scaffold]


_CHILD = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from scaffold.rendering import render
sys.exit(render.run_job(sys.argv[2]))
"""
# What Python itself may need to start; keys and the like stay here.
_NEEDED = frozenset({"HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR"})
_NEEDED_BEGINNINGS = ("DYLD_", "LC_")
_REFUSED = 3
"""The child's exit status for a TemplateError, which is on its stdout as JSON."""
_SYSTEM_ERROR = 4
"""The same for an OSError."""


@dataclass(slots=True)
class Child:
    """A render under way in a process of its own."""

    process: subprocess.Popen[str]
    limits: Limits

    def wait(self) -> None:
        """Wait for it. Raises TemplateError with the reason, OSError for what the system refused."""
        try:
            text, _ = self.process.communicate(timeout=self.limits.wall_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise TemplateError(*self._too_long()) from None
        except BaseException:
            self.stop()
            raise
        if self.process.returncode:
            self._raise(text)

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.communicate()

    def _raise(self, text: str) -> NoReturn:
        status = self.process.returncode
        if status == _REFUSED:
            problem, hint = json.loads(text)
            raise TemplateError(problem, hint)
        if status == _SYSTEM_ERROR:
            raise OSError(*json.loads(text))
        if status in (-signal.SIGINT, ExitStatus.INTERRUPTED):
            raise KeyboardInterrupt
        if status in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
            raise TemplateError(*self._too_long())
        raise TemplateError(
            f"The process that rendered the template ended with status {status}",
            "look for what nests or grows without end in it",
        )

    def _too_long(self) -> tuple[str, str]:
        return (
            f"Rendering the template took more than {self.limits.cpu_s} seconds of work",
            "look for a loop without end in its Jinja; the limits are in docs/own-templates.md",
        )


def start(job: Path, limits: Limits = LIMITS) -> Child:
    """Start the render of the job in a file."""
    paths = json.dumps([path for path in sys.path if path] or [str(Path.cwd())])
    needed = (key for key in os.environ if key in _NEEDED or key.startswith(_NEEDED_BEGINNINGS))
    kept = {key: os.environ[key] for key in needed}
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, paths, str(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        env={**kept, "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return Child(process, limits)


def report(work: Callable[[], None], limits: Limits) -> int:
    """Do the work in the child. Return 0, or another status with the reason as JSON on stdout."""
    # The parent reads stdout: nothing that copier or a library prints may get into it.
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        work()
    except ScaffoldError as error:
        problem, hint = error.pairs[0]
        print(json.dumps([problem[:2000], hint[:2000]]), file=out)
        return _REFUSED
    except OSError as error:
        if error.errno == errno.EFBIG:
            most = f"{limits.one_file // 1_000_000} MB"
            problem = f"The template renders a file of more than {most}"
            print(json.dumps([problem, "look for a loop without end in it"]), file=out)
            return _REFUSED
        print(json.dumps([error.errno, error.strerror, str(error.filename or "")]), file=out)
        return _SYSTEM_ERROR
    return 0
