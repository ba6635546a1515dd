"""Failover and overhead of a rendered chain beside its peers, against one loopback server.

`python -m benchmarks.bench_chain [--calls N] [--only NAME]...` prints Markdown. Each peer runs in
an environment of its own (`uv run --with`), ours in this one. N calls are timed at 100 at once,
five times over; the quietest round counts, and 0 leaves the load out. The server shares the
machine: calls per CPU second are what a contender alone would reach.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.drive import FAULTS
from scaffold.catalog.catalog import load

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PEERS: dict[str, tuple[str, list[str]]] = {
    "openai SDK": ("openai_sdk", ["openai"]),
    "LiteLLM Router": ("litellm_router", ["litellm"]),
    "pydantic-ai fallback": ("pydantic_fallback", ["pydantic-ai-slim[openai,anthropic]"]),
    "LangChain fallbacks": ("langchain_fallbacks", ["langchain-openai", "langchain-anthropic"]),
    "here": ("ours", []),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--only", action="append", choices=list(PEERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, loopback() as port:
        results = {
            name: measured(Path(folder), port, options.calls, *PEERS[name])
            for name in options.only or PEERS
        }
    print(", ".join(f"{name}: {told['package']}" for name, told in results.items()) + "\n")
    print(faults_table(results))
    if options.calls:
        print(load_table(results))


@contextmanager
def loopback() -> Iterator[int]:
    """Yield the server's port, while it runs in a process of its own."""
    words = [sys.executable, "-m", "tests.loopback", "1800"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def measured(
    folder: Path, port: int, calls: int, module: str, packages: list[str]
) -> dict[str, Any]:
    """Return what a contender prints, in its own environment."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable]
    if packages:
        words = [str(BIN / "uv"), "run", "--no-project", "--python", "3.11"]
        words += [part for package in packages for part in ("--with", package)] + ["python"]
    else:
        environment["PYTHONPATH"] += f"{os.pathsep}{rendered(folder)}"
    done = subprocess.run(
        [*words, "-m", f"benchmarks.peers.{module}", str(port), str(calls)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        sys.exit(f"{module}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rendered(folder: Path) -> Path:
    """Return the `src` of a fresh default workspace with OpenAI, Anthropic and streaming."""
    extras = [extra.name for extra in load(ROOT).of("extra") if extra.default]
    words = [str(BIN / "scaffold"), "new", "desk", "--defaults", "--no-git"]
    words += ["--set", "package=desk", "--set", "providers=[openai,anthropic]"]
    words += ["--set", f"extras=[{','.join([*extras, 'streaming'])}]"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder / "desk" / "src"


def faults_table(results: dict[str, Any]) -> str:
    names = [name for name in results if name != "openai SDK"]
    lines = ["| the first model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for fault in FAULTS:
        cells = [_cell(results[name]["faults"][fault]) for name in names]
        lines.append(f"| {fault} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(told: dict[str, Any]) -> str:
    hits = "1 hit" if told["hits"] == 1 else f"{told['hits']} hits"
    return f"{told['seconds']:.2f} s, {hits}: {told['outcome']}"


def load_table(results: dict[str, Any]) -> str:
    floor = results.get("openai SDK", {}).get("cpu_ms")
    lines = [
        "| 100 at once | CPU per call | of the SDK | calls per CPU second | calls/s | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for name, told in results.items():
        factor = f"{told['cpu_ms'] / floor:.2f}-fold" if floor else "-"
        lines.append(
            f"| {name} | {told['cpu_ms']:.2f} ms | {factor} | {1000 / told['cpu_ms']:.0f} "
            f"| {told['rate']:.0f} | {told['peak_mb']:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
