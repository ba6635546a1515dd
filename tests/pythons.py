"""The other Pythons of this machine: `python -m tests.pythons` prints a version and its program a line.

A version is found as `python3.X` on the PATH, or among pyenv's, whose shims only run when chosen.
"""

import shutil
import subprocess
import sys
from pathlib import Path

OTHERS = ("3.12", "3.13", "3.14")
PYENV = Path.home() / ".pyenv" / "versions"


def find(version: str) -> Path | None:
    """Return a program that runs as this version, or None where the machine has none."""
    on_path = shutil.which(f"python{version}")
    of_pyenv = sorted(PYENV.glob(f"{version}.*/bin/python"), reverse=True)
    candidates = [Path(on_path), *of_pyenv] if on_path else of_pyenv
    return next((path for path in candidates if _runs_as(path, version)), None)


def _runs_as(program: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([program, "-c", code], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == version


if __name__ == "__main__":
    for wanted in OTHERS:
        if program := find(wanted):
            print(wanted, program)
        else:
            print(f"Python {wanted} is not on this machine: skipped", file=sys.stderr)
