"""Models that answer badly or not for long, which a fallback chain would hide."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..configuration import ledger_location, load_prices
from ..runtime.errors import LedgerError
from ..runtime.failure_kinds import ALERTS
from ..runtime.fleet import Fleet, ModelRef
from ..runtime.ledger import queries, report_text
from ..runtime.ledger.attempt import DAY_US


def diagnose(root: Path, fleet: Fleet) -> Iterator[str]:
    """Yield notes on models: about to be withdrawn, refusing us, failing today."""
    prices = load_prices(root, fleet)
    for ref in dict.fromkeys(ref for chain in fleet.chains.values() for ref in chain.models):
        if why := prices.leaving(ref):
            yield f"{ref} is about to be withdrawn: {why}"
    with suppress(LedgerError):  # without a ledger nothing was asked
        location, day_ago = ledger_location(root), time.time_ns() // 1000 - DAY_US
        for *ref, kind, times in queries.mistakes(location, ALERTS, day_ago):
            yield f"{ModelRef(*ref)}: {kind}, {times} times in the last day"
        today = queries.total(queries.sums(location, (), queries.today()))
        if alarm := report_text.alarm(today):
            yield f"Today: {alarm} See `costs`."
