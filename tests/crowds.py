"""Many requests to one chain, at once or one after another, and models that fail."""

import asyncio
from typing import Any

from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest

from tests.fleets import Desk
from tests.loopback import Reply

CALLS = 30
QUESTION: list[ModelMessage] = [ModelRequest.user_text_prompt("?")]
OPEN_S = 3.0


def crowd(desk: Desk, times: int = CALLS, **request: Any) -> list[str]:
    """So many requests at once; "answered", or the name of the error, of each."""
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> list[str]:
        return [outcome(one) for one in await gather_calls(workspace, asked("?", **request), times)]

    return desk.play(use)


async def gather_calls(workspace: Any, request: Any, times: int) -> list[Any]:
    calls = (workspace.handle(request) for _ in range(times))
    return await asyncio.gather(*calls, return_exceptions=True)


async def read(chain: Any) -> str:
    """Return the text of a streamed answer, read to its end."""
    async with model_request_stream(chain, QUESTION) as events:
        async for _ in events:
            pass
        return events.get().text or ""


def outcome(one: Any) -> str:
    return type(one).__name__ if isinstance(one, BaseException) else one.status


def breaker(desk: Desk, *replies: Reply, failures: int = 3, open_s: float = OPEN_S) -> None:
    desk.models = ["openai:breaks", "anthropic:ok"]
    desk.more = f"[circuits]\nfailures = {failures}\nopen_s = {open_s}\n"
    desk.server.script["breaks"] = list(replies)


def of(desk: Desk, model: str) -> list[str]:
    return [row[2] or row[1] for row in desk.rows() if row[0] == model]


def one_by_one(desk: Desk, *pauses: float) -> None:
    """Make a request after each pause."""
    asked = desk.module("runtime.run").Request

    async def use(workspace: Any) -> None:
        for pause in pauses:
            await asyncio.sleep(pause)
            await workspace.handle(asked("?"))

    desk.play(use)
