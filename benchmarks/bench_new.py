"""`scaffold new` beside `copier copy` of the same template and answers.

`python -m benchmarks.bench_new [ROUNDS]` prints medians and their ratio.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def seconds(*words: str, cwd: Path) -> float:
    """Wall seconds of one command."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(words, cwd=cwd, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plain = work / "template"
        plain.mkdir()
        shutil.copytree(ROOT / "templates", plain / "templates")
        shutil.copy(ROOT / "copier.yml", plain)
        times: dict[str, list[float]] = {}
        for turn in range(rounds + 1):
            commands = {
                "python -c pass": [sys.executable, "-c", "pass"],
                "scaffold --help": [str(BIN / "scaffold"), "--help"],
                "scaffold new": [
                    str(BIN / "scaffold"),
                    "new",
                    f"s{turn}",
                    "--defaults",
                    "--no-git",
                ],
                "copier copy": [
                    str(BIN / "copier"),
                    "copy",
                    "-q",
                    "--defaults",
                    str(plain),
                    f"c{turn}",
                ],
                "import copier": [sys.executable, "-c", "import copier"],
            }
            for name, words in commands.items():
                took = seconds(*words, cwd=work)
                # The first turn writes bytecode and fills caches.
                if turn:
                    times.setdefault(name, []).append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<16} {value:6.3f} s")
    print(f"scaffold new / copier copy = {medians['scaffold new'] / medians['copier copy']:.2f}")


if __name__ == "__main__":
    main()
