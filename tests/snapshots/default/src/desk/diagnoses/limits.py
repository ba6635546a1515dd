"""Limits that stop requests: caps below any cost, used up budgets, data that may go nowhere."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..configuration import ledger_location, load_prices
from ..runtime.errors import FleetError, LedgerError, SettingsError
from ..runtime.fleet import Fleet
from ..runtime.ledger import queries
from ..runtime.ledger.report_text import dollars


def diagnose(root: Path, fleet: Fleet) -> Iterator[FleetError | str]:
    """Yield an error for each limit that stops requests; a note for classes that go nowhere."""
    yield from _find_low_caps(root, fleet)
    yield from _find_closed_chains(fleet)
    yield from _find_used_up_budgets(root, fleet)
    yield from _find_stuck_classes(fleet)


def _find_low_caps(root: Path, fleet: Fleet) -> Iterator[SettingsError]:
    """Yield chains in which the shortest request costs more than a call may."""
    from genai_prices import Usage

    prices = load_prices(root, fleet)
    short = Usage(input_tokens=100, output_tokens=1)  # with the prompt of its stage
    for name, chain in fleet.chains.items():
        caps = [usd for usd in (chain.max_cost_usd, fleet.budgets.call_usd) if usd]
        costs = [prices.cost(ref, short, served=ref.model).nano_usd for ref in chain.models]
        if caps and all(cost is not None and cost >= min(caps) * 10**9 for cost in costs):
            yield SettingsError(
                f"No call of chain {name} can cost less than {min(caps)} US dollars",
                "raise its max_cost_usd, or call_usd under [budgets]",
            )


def _find_closed_chains(fleet: Fleet) -> Iterator[SettingsError]:
    for name, chain in fleet.chains.items():
        if not any(fleet.permits(ref, None) for ref in chain.models):
            yield SettingsError(
                f"Data of class '{fleet.data.unclassified}', which requests without a class are, "
                f"may go to no model of chain {name}",
                "list a place for it under [data]",
            )


def _find_used_up_budgets(root: Path, fleet: Fleet) -> Iterator[SettingsError]:
    budgets = fleet.budgets
    if budgets.at_limit == "cheap_only" and "cheap" not in fleet.chains:
        yield SettingsError(
            'at_limit = "cheap_only" needs [chains.cheap]', "add it, or take another at_limit"
        )
    with suppress(LedgerError):  # without a ledger nothing is spent
        spent = queries.month_by_task(ledger_location(root))
        limits = {"month_usd": (budgets.month_usd, spent.total())}
        limits |= {f"task_usd.{task}": (usd, spent[task]) for task, usd in budgets.task_usd.items()}
        for name, (usd, used) in limits.items():
            if usd and used >= usd.scaleb(9) and budgets.at_limit == "refuse":
                problem = f"The budget {name} is used up ({dollars(used)})"
                yield SettingsError(problem, "raise it, or change at_limit")


def _find_stuck_classes(fleet: Fleet) -> Iterator[str]:
    classes = {one for places in fleet.data.further.values() for one in places}
    for name, chain in fleet.chains.items():
        for one in sorted(classes | set(fleet.data.regions)):
            if not any(fleet.permits(ref, one) for ref in chain.models):
                yield f"Data of class '{one}' may go to no model of chain {name}."
