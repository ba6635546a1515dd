"""pydantic-ai's FallbackModel over clients as they come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.peers.drive import Ask, run

QUESTION = [ModelRequest.user_text_prompt("The capital of France?")]


@asynccontextmanager
async def make(port: int, primary: str, *, stream: bool, timeout_s: float) -> AsyncIterator[Ask]:
    base = f"http://127.0.0.1:{port}"
    first = OpenAIChatModel(
        primary, provider=OpenAIProvider(base_url=f"{base}/openai", api_key="x")
    )
    second = AnthropicModel(
        "ok", provider=AnthropicProvider(base_url=f"{base}/anthropic", api_key="x")
    )
    model = FallbackModel(first, second)

    async def ask() -> str:
        if stream:
            async with model_request_stream(
                model, QUESTION, model_settings={"timeout": timeout_s}
            ) as events:
                async for _ in events:
                    pass
                return events.get().text or ""
        reply = await model_request(model, QUESTION, model_settings={"timeout": timeout_s})
        return reply.text or ""

    async with model:
        yield ask


if __name__ == "__main__":
    run(make, "pydantic-ai-slim")
