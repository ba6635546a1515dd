"""`python -m tests.loopback [SECONDS]`: prints its port, and serves until then (600)."""

import asyncio
import sys
from contextlib import suppress

from tests.loopback.server import Server, listen


async def main(seconds: float) -> None:
    server, stop = Server(record=False), asyncio.Event()
    listening = asyncio.create_task(listen(server, stop))
    while not server.port:
        await asyncio.sleep(0.01)
    print(server.port, flush=True)
    with suppress(TimeoutError):
        await asyncio.wait_for(listening, seconds)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600))
