"""A message to a Slack-compatible webhook for new tickets, which holds up no request.

It never holds a question: texts stay in the workspace.
"""

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx2

from . import escalation
from .errors import LedgerError
from .fleet import Fleet
from .inbox import Ticket, Tickets, now_us
from .run import AskedCall

log = logging.getLogger(__name__)

WEBHOOK = "FLEET_ESCALATION_WEBHOOK"
TRY_AGAIN_S = (0, 1, 5, 30, 120, 600)
SHOWN = 10


class Escalation(escalation.Escalation):
    """The human of a workspace's chains, and a message for what waits for them."""

    def __init__(self, root: Path, fleet: Fleet) -> None:
        super().__init__(root, fleet)
        self._sending: asyncio.Task[None] | None = None

    def open_ticket(self, call: AskedCall) -> Ticket:
        """Open a ticket; one message is for all that are new. Raises Unanswered."""
        ticket, url = super().open_ticket(call), os.environ.get(WEBHOOK)
        if url and ticket.told_us is None and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(send(url, self.tickets))
        return ticket

    async def aclose(self) -> None:
        """Give a message two seconds more, then close the file."""
        if self._sending:
            with suppress(TimeoutError, LedgerError):
                await asyncio.wait_for(self._sending, 2)
        await super().aclose()


human = Escalation


async def send(url: str, tickets: Tickets) -> None:
    """Send one message for all tickets that had none; try again later where it fails."""
    for pause in TRY_AGAIN_S:
        await asyncio.sleep(pause)
        new = [ticket for ticket in tickets.select() if ticket.told_us is None]
        if not new:
            return
        if reason := await _post(url, new):
            log.warning("%s did not take a notification: %s", WEBHOOK, reason)
        else:
            ids = json.dumps([ticket.id for ticket in new])
            these = "id IN (SELECT value FROM json_each(?))"
            tickets.run(f"UPDATE tickets SET told_us = ? WHERE {these}", (now_us(), ids))


async def _post(url: str, tickets: Sequence[Ticket]) -> str:
    """Post a message about tickets; return why it was not taken, or ""."""
    lines = [f"Waiting for a person: {len(tickets)}, see `escalations list`."]
    lines += [
        f"• {ticket.stage}: `escalations show {ticket.id[-8:]}`" for ticket in tickets[:SHOWN]
    ]
    try:
        async with httpx2.AsyncClient(timeout=10) as client:
            response = await client.post(url, json={"text": "\n".join(lines)})
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        return type(error).__name__  # not its text, which may hold the address: that is a secret
    return "" if response.is_success else f"status {response.status_code}"
