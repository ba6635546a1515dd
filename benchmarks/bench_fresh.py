"""From a clone to green tests and the demo of a default workspace: the README's first command.

`python -m benchmarks.bench_fresh` prints the seconds of each step, in new environments. The
package cache is the machine's own: name an empty UV_CACHE_DIR and PIP_CACHE_DIR to leave it out.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = {
    "environment": "python3 -m venv .venv && .venv/bin/pip install -q uv .",
    "scaffold new": "scaffold new demo-desk --defaults",
    "uv run pytest": "cd demo-desk && uv run --quiet pytest",
    "uv run demo": "cd demo-desk && uv run --quiet demo-desk demo",
}


def main() -> None:
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = {key: value for key, value in os.environ.items() if key not in ours}
        environment["PATH"] = f"{clone}/.venv/bin:{environment['PATH']}"
        total = 0.0
        for name, command in STEPS.items():
            started = time.perf_counter()
            subprocess.run(
                command, shell=True, cwd=clone, env=environment, check=True, capture_output=True
            )
            took = time.perf_counter() - started
            total += took
            print(f"{name:<14} {took:6.1f} s")
    print(f"{'together':<14} {total:6.1f} s")


if __name__ == "__main__":
    main()
