"""What one request gets: an answer, a failure, or an answer that goes wrong on its way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Finish = Literal["stop", "length", "content_filter", "refusal"]
Fault = Literal["cut", "hang", "end", "error"]
"""cut: close the connection; hang: say nothing more; end: end cleanly, too early;
error: the provider's own error, inside a response that began with status 200."""

Edit = Callable[[Any], Any]

TEXT = "Paris is the capital of France, and has been for most of a thousand years."
REFUSAL = "I'm sorry, but I can't help with that request."


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One response. Cached and reasoning tokens are parts of input and output.

    `answer` goes through the output tool where the request offers one, else as JSON text;
    `tool` calls a tool by name. `reason` is the format's own word for its end, in place of `finish`.
    `fault` strikes at once, or `after` so many tokens of a stream
    (half the body, where nothing is streamed). `body` is sent as it is in place of the format's;
    `edit` changes the format's own: a whole answer, or each server-sent event of a stream (not
    Bedrock's); what it returns is sent, None is left out.
    """

    text: str = TEXT
    answer: Mapping[str, Any] | None = None
    tool: tuple[str, Mapping[str, Any]] | None = None
    finish: Finish = "stop"
    reason: str | None = None
    status: int = 200
    body: str | None = None
    edit: Edit | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    fault: Fault | None = None
    after: int | None = None
    delay_s: float = 0.0
    pace_s: float = 0.0
    input_tokens: int = 120
    cached_tokens: int = 20
    output_tokens: int = 30
    reasoning_tokens: int = 10


STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)

COMMANDS: Mapping[str, Reply] = {
    "ok": Reply(),
    "slow": Reply(delay_s=0.3),
    "slow-bytes": Reply(pace_s=0.05),
    "empty": Reply(text="", output_tokens=0, reasoning_tokens=0),
    "truncated": Reply(text="Paris is the cap", finish="length"),
    "refusal": Reply(text=REFUSAL),
    "refusal-marked": Reply(text=REFUSAL, finish="refusal"),
    "content-filter": Reply(text="", finish="content_filter"),
    "hang": Reply(fault="hang"),
    "hang-body": Reply(fault="hang", after=1),
    "hang-stream": Reply(fault="hang", after=10),
    "cut": Reply(fault="cut"),
    "cut-body": Reply(fault="cut", after=1),
    "cut-stream": Reply(fault="cut", after=10),
    "end-stream": Reply(fault="end", after=10),
    "error-stream": Reply(fault="error", after=10),
    "error-first": Reply(fault="error", after=0),
    "html": Reply(body="<html><body>Gateway</body></html>", content_type="text/html"),
    "wrong-json": Reply(body='{"id": "1", "cho'),
    "wrong-shape": Reply(body='{"hello": "world"}'),
    "wrong-type": Reply(content_type="text/plain"),
    "nothing": Reply(body=""),
    "huge": Reply(text="word " * 400_000),
    "huge-error": Reply(status=500, body="<p>" + "x" * 4_000_000, content_type="text/html"),
    "retry-after": Reply(status=429, headers={"Retry-After": "2"}),
    **{f"status-{status}": Reply(status=status) for status in STATUSES},
}
