"""What the formats share: server-sent events, and how an answer is to be given."""

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.loopback.reply import Reply

OUTPUT_TOOL = "final_result"
MESSAGE = "The loopback server was asked to fail."


def event(data: object, name: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n" if name else ""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{head}data: {text}\n\n".encode()


def words(text: str) -> list[str]:
    """Split a text into tokens: words with the space that follows."""
    return re.findall(r"\S+\s*", text)


def split_reply(
    reply: Reply, tools: Iterable[str]
) -> tuple[str, tuple[str, dict[str, Any]] | None]:
    """Return the text and the tool call of an answer to a request that offers these tools."""
    if reply.tool:
        return "", (reply.tool[0], dict(reply.tool[1]))
    if reply.answer is None:
        return reply.text, None
    if output := next((name for name in tools if name.startswith(OUTPUT_TOOL)), None):
        return "", (output, dict(reply.answer))
    return json.dumps(reply.answer), None
