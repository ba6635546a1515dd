"""Two renders at a time, each in a process of its own."""

import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffold.errors import ScaffoldError, TemplateError
from scaffold.render import render
from scaffold.template import Source

_CHILD = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from scaffold.renders import run_written
sys.exit(run_written(sys.argv[2]))
"""
_REFUSED = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A template, the answers to render it with, and the folder to fill."""

    source: Source
    answers: Mapping[str, Any]
    target: Path

    def run(self) -> None:
        """Render. Raises TemplateError."""
        source, target = self.source, self.target
        render(source.root, target, self.answers, source=source.src_path, commit=source.commit)


def both(before: Job, after: Job) -> None:
    """Render two jobs. Raises TemplateError that says which of them cannot be.

    Copier's environment and working directory belong to the process, so threads would not do; and
    multiprocessing would start the program's main module again.
    """
    written = before.target.with_name(f"{before.target.name}.job")
    written.write_bytes(pickle.dumps(before))
    paths = json.dumps([path or str(Path.cwd()) for path in sys.path])
    with subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, paths, str(written)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as another:
        try:
            after.run()
            _, told = another.communicate()
        except BaseException:
            another.kill()
            raise
    if another.returncode:
        reason = told if another.returncode == _REFUSED else told.strip().splitlines()[-1]
        raise TemplateError(f"As the answers file records it ({before.source.commit}), {reason}")


def run_written(path: str) -> int:
    """In the other process: run the job in a file. Exit status 0, or 3 with the error's text."""
    job: Job = pickle.loads(Path(path).read_bytes())
    try:
        job.run()
    except ScaffoldError as error:
        sys.stderr.buffer.write(str(error).encode())
        return _REFUSED
    return 0
