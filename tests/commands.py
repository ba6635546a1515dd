"""Commands of a rendered workspace, run in this process: a program of its own is slow to start."""

from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def run(
    package: str, *words: str, folder: Path, given: str = "", **settings: str
) -> CompletedProcess[str]:
    """What a command ends with and prints in this folder, as the installed program would.

    `given` is what it may read, `settings` are variables of its environment.
    """
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr("sys.argv", [package, *words])
        patch.setattr("sys.stdin", StringIO(given))
        patch.delenv("FLEET_ROOT", raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        status = _ended(package)
    said = "" if isinstance(status, int) else f"{status}\n"
    return CompletedProcess([*words], 1 if said else status, out.getvalue(), err.getvalue() + said)


def _ended(package: str) -> int | str:
    """The exit status of the package's `main`, or the advice that it exits with."""
    try:
        import_module(f"{package}.cli").main()
    except SystemExit as ended:
        return ended.code or 0
    return 0
