"""The official client alone, retries off: the floor that overhead is measured from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI

from benchmarks.peers.drive import Ask, run


@asynccontextmanager
async def make(port: int, primary: str, *, timeout_s: float, **_: bool) -> AsyncIterator[Ask]:
    url = f"http://127.0.0.1:{port}/openai"
    async with AsyncOpenAI(base_url=url, api_key="x", max_retries=0, timeout=timeout_s) as client:

        async def ask() -> str:
            reply = await client.chat.completions.create(
                model=primary, messages=[{"role": "user", "content": "The capital of France?"}]
            )
            return reply.choices[0].message.content or ""

        yield ask


if __name__ == "__main__":
    run(make, "openai")
