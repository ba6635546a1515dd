"""LiteLLM's Router with its default retries and a fallback to a second model group."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network at import

import litellm  # pyright: ignore[reportMissingImports] - in an environment of its own
from litellm import Router  # pyright: ignore[reportMissingImports] - in an environment of its own

from benchmarks.peers.drive import Ask, joined, run

litellm.suppress_debug_info = True
QUESTION = [{"role": "user", "content": "The capital of France?"}]


@asynccontextmanager
async def make(port: int, primary: str, *, stream: bool, timeout_s: float) -> AsyncIterator[Ask]:
    base = f"http://127.0.0.1:{port}"
    router = Router(
        model_list=[
            {
                "model_name": "first",
                "litellm_params": {
                    "model": f"openai/{primary}",
                    "api_base": f"{base}/openai",
                    "api_key": "x",
                },
            },
            {
                "model_name": "second",
                "litellm_params": {
                    "model": "anthropic/ok",
                    "api_base": f"{base}/anthropic",
                    "api_key": "x",
                },
            },
        ],
        fallbacks=[{"first": ["second"]}],
        timeout=timeout_s,
    )

    async def ask() -> str:
        reply = await router.acompletion(model="first", messages=QUESTION, stream=stream)
        if stream:
            return await joined(part.choices[0].delta.content or "" async for part in reply)
        return reply.choices[0].message.content or ""

    yield ask


if __name__ == "__main__":
    run(make, "litellm")
