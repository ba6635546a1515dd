"""LangChain's chat models joined by `with_fallbacks`, retries as they come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langchain_anthropic import ChatAnthropic  # pyright: ignore[reportMissingImports] - in an environment of its own
from langchain_openai import ChatOpenAI  # pyright: ignore[reportMissingImports] - in an environment of its own

from benchmarks.peers.drive import Ask, joined, run


@asynccontextmanager
async def make(port: int, primary: str, *, stream: bool, timeout_s: float) -> AsyncIterator[Ask]:
    base = f"http://127.0.0.1:{port}"
    first = ChatOpenAI(model=primary, base_url=f"{base}/openai", api_key="x", timeout=timeout_s)
    second = ChatAnthropic(model="ok", base_url=f"{base}/anthropic", api_key="x", timeout=timeout_s)
    chain = first.with_fallbacks([second])

    async def ask() -> str:
        if stream:
            parts = chain.astream("The capital of France?")
            return await joined(str(part.content) async for part in parts)
        return str((await chain.ainvoke("The capital of France?")).content)

    yield ask


if __name__ == "__main__":
    run(make, "langchain-core")
