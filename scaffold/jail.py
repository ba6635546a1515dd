"""Somebody else's template is rendered in a process of its own, and what that process reports."""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from scaffold.confine import LIMITS, Limits
from scaffold.errors import ScaffoldError, TemplateError

_CHILD = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from scaffold import renders
sys.exit(renders.run_written(sys.argv[2]))
"""
# What Python itself may need to start; keys and the like stay here.
_NEEDED = frozenset({"HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR"})
_NEEDED_BEGINNINGS = ("DYLD_", "LC_")
REFUSED = 3
SYSTEM = 4


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
        if status == REFUSED:
            problem, hint = json.loads(text)
            raise TemplateError(problem, hint)
        if status == SYSTEM:
            raise OSError(*json.loads(text))
        if status in (-signal.SIGINT, 130):
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


def start(written: Path, limits: Limits = LIMITS) -> Child:
    """Start the render of a job that was written to a file."""
    paths = json.dumps([path for path in sys.path if path] or [str(Path.cwd())])
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in _NEEDED or key.startswith(_NEEDED_BEGINNINGS)
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, paths, str(written)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        env={**kept, "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return Child(process, limits)


def report(work: Callable[[], None], limits: Limits) -> int:
    """In the child: do the work. Exit status 0, or another with the reason as JSON on stdout."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        work()
    except ScaffoldError as error:
        problem, hint = error.pairs[0]
        print(json.dumps([problem[:2000], hint[:2000]]), file=out)
        return REFUSED
    except OSError as error:
        if error.errno == errno.EFBIG:
            most = f"{limits.one_file // 1_000_000} MB"
            problem = f"The template renders a file of more than {most}"
            print(json.dumps([problem, "look for a loop without end in it"]), file=out)
            return REFUSED
        print(json.dumps([error.errno, error.strerror, str(error.filename or "")]), file=out)
        return SYSTEM
    return 0


def write_job(job: object, path: Path) -> Path:
    """Write a job for a child to read."""
    path.write_bytes(pickle.dumps(job))
    return path
