"""Budgets: what is left of them, what is reserved, and how often the ledger is read for it."""

import asyncio
import time
from decimal import Decimal

import pytest
from ledger_rows import row

from desk.runtime.budgets import (
    Limit,
    Reservation,
    Reservations,
    Spending,
)
from desk.runtime.errors import LedgerError
from desk.runtime.fleet import Budgets, Fleet
from desk.runtime.ledger.attempt import DEMO, NANO
from desk.runtime.request import Request
from desk.runtime.run import Run


def run_of(cost_nano_usd: int = NANO // 2) -> Run:
    """Return a run that has cost so much."""
    spent = [row(cost_nano_usd=cost_nano_usd)]
    return Run(Request("?", max_cost_usd=Decimal(1)), Fleet(chains={}), {}, attempts=spent)


def test_the_limits_of_a_run_and_what_is_left_of_them() -> None:
    budgets = Budgets(month_usd=Decimal(10), run_usd=Decimal(2), task_usd={"answering": Decimal(3)})
    spending = Spending(budgets, dict)
    for environment in ("production", DEMO):
        spending.add(row(environment=environment, cost_nano_usd=NANO))
    left = {one.name: one.left_nano() / NANO for one in spending.limits(run_of(), "answering")}
    assert left == {"max_cost_usd": 0.5, "run_usd": 1.5, "month_usd": 9, "answering": 2}


def test_a_budget_that_is_used_up_is_named(caplog: pytest.LogCaptureFixture) -> None:
    read: dict[str, int] = {}
    budgets = Budgets(month_usd=Decimal(1), task_usd={"drafting": Decimal("0.1")})
    spending = Spending(budgets, lambda: dict(read), every_s=0)

    async def find_reached() -> list[str | None]:
        return [await spending.find_reached(run_of(), task) for task in ("drafting", "answering")]

    assert asyncio.run(find_reached()) == [None, None]
    read["drafting"] = 100_000_000
    assert asyncio.run(find_reached()) == ["drafting", None]
    read["answering"] = 800_000_000
    assert asyncio.run(find_reached()) == ["drafting", None] and "80 %" in caplog.text
    of_runs = Spending(Budgets(run_usd=Decimal("0.1")), dict)
    assert asyncio.run(of_runs.find_reached(run_of(), "x")) == "run_usd"


def test_calls_that_wait_for_a_slow_ledger_do_not_read_it_again() -> None:
    reads: list[None] = []

    def read() -> dict[str, int]:
        reads.append(time.sleep(0.3))
        raise LedgerError("It does not answer")

    async def find_reached() -> None:
        spending = Spending(Budgets(month_usd=Decimal(1)), read, every_s=0.3)
        await asyncio.gather(*(spending.find_reached(run_of(), "x") for _ in range(5)))

    asyncio.run(find_reached())
    assert len(reads) == 1


def test_calls_that_are_made_at_once_keep_to_a_limit() -> None:
    async def run() -> list[object]:
        reservations = Reservations()
        limits = [Limit("cap", "one", Decimal(100) / NANO, lambda: 0)]

        async def attempt(nano: int, is_most: bool) -> object:
            held = await reservations.take(limits, "m", nano, is_most=is_most, wait_s=0.5)
            if isinstance(held, Reservation):
                await asyncio.sleep(0.01)
                reservations.release(held, 60)
            return type(held)

        attempts = (attempt(80, True), attempt(30, False), attempt(500, True))
        return list(await asyncio.gather(*attempts))

    assert asyncio.run(run()) == [Reservation, Reservation, Limit]
