"""A model server on 127.0.0.1 that misbehaves on command, for tests and benchmarks.

`with serve() as server:` then point a client at `server.url("openai")`, `"azure"`,
`"anthropic"`, `"google"`, `"mistral"` or `"bedrock"`. What a request gets is decided by the
model it names: the next reply of `server.script[model]` (the last one stays), else the command
of that name (`COMMANDS`: "ok", "hang", "status-503", "cut-stream", ...), else a good answer.
`server.seen` is what arrived, in order.
"""

from tests.loopback.reply import COMMANDS, Fault, Finish, Reply
from tests.loopback.server import Seen, Server, serve

__all__ = ["COMMANDS", "Fault", "Finish", "Reply", "Seen", "Server", "serve"]
