"""A chain of a rendered workspace, ledger on. The workspace's `src` is on PYTHONPATH as `desk`."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest

from benchmarks.peers.drive import Ask, run

QUESTION = [ModelRequest.user_text_prompt("The capital of France?")]
FLEET = """
[chains.main]
models = ["openai:{primary}@one", "anthropic:ok@two"]
deadline_s = 120
attempt_s = {timeout_s}
on_cut = "restart"
[deployments.one]
base_url = "http://127.0.0.1:{port}/openai"
[deployments.two]
base_url = "http://127.0.0.1:{port}/anthropic"
[stages.answer]
chain = "main"
task_type = "answering"
"""


@asynccontextmanager
async def make(port: int, primary: str, *, stream: bool, timeout_s: float) -> AsyncIterator[Ask]:
    from desk.workspace import Workspace  # pyright: ignore[reportMissingImports] - rendered

    os.environ |= {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "fleet.toml").write_text(
            FLEET.format(port=port, primary=primary, timeout_s=timeout_s)
        )
        async with Workspace.open(root) as workspace:
            chain = workspace.chains["main"]
            for candidate in chain.candidates:
                await candidate.load()  # the others make their clients here, too

            async def ask() -> str:
                if stream:
                    async with model_request_stream(chain, QUESTION) as events:
                        async for _ in events:
                            pass
                        return events.get().text or ""
                return (await model_request(chain, QUESTION)).text or ""

            yield ask


if __name__ == "__main__":
    run(make, "pydantic-ai-slim")
