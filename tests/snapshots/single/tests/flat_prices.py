"""Prices for tests: by the token, whatever the price lists say."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from desk import wiring
from desk.runtime.fleet import ModelRef
from desk.runtime.ledger.prices import UNPRICED, Cost, Prices


def set_prices(
    monkeypatch: pytest.MonkeyPatch, usd: Mapping[str, tuple[int | Decimal, int | Decimal]]
) -> None:
    """Price models by US dollars per million input and output tokens; others are unpriced."""

    class FlatPrices(Prices):
        own = usd.keys()

        def cost(self, ref: ModelRef, usage: Any, **_: Any) -> Cost:
            if usage is None:
                return Cost(None, "none")
            if str(ref) not in usd:
                return UNPRICED
            read, written = usd[str(ref)]
            total = read * usage.input_tokens + written * usage.output_tokens
            return Cost.of(Decimal(total) / 10**6, "override", "tests")

    monkeypatch.setattr(wiring, "PRICES", lambda: FlatPrices)
