"""The table `[escalation]`, which no request reads before a person is asked."""

from collections.abc import Iterator
from pathlib import Path

from ..runtime.errors import FleetError
from ..runtime.fleet import Fleet
from ..runtime.inbox import EscalationSettings


def diagnose(root: Path, fleet: Fleet) -> Iterator[FleetError]:
    """Yield what is wrong with it."""
    del root
    try:
        fleet.section("escalation", EscalationSettings)
    except FleetError as error:
        yield error
