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
    """Run a command in this folder as the installed program would; return its status and output.

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
        status, advice = _end(package)
    return CompletedProcess([*words], status, out.getvalue(), err.getvalue() + advice)


def _end(package: str) -> tuple[int, str]:
    """Run the package's `main`; return its exit status, and the advice that it exits with."""
    try:
        import_module(f"{package}.cli").main()
    except SystemExit as ended:
        code = ended.code
        return (1, f"{code}\n") if isinstance(code, str) else (code or 0, "")
    return 0, ""
