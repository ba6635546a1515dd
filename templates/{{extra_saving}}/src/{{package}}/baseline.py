"""Compare what requests cost with one call of the model of `[baseline]` for each of them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from .configuration import ledger_location, load_prices
from .runtime.fleet import Fleet, ModelRef, find_root, load
from .runtime.ledger.queries import day_of
from .runtime.ledger.report_text import Report, ShownSaving
from .runtime.ledger.saving import Comparison, Saving
from .runtime.settings import Settings


class BaselineSettings(Settings):
    """The table `[baseline]` of fleet.toml: the model that requests are compared with."""

    model: Annotated[ModelRef, BeforeValidator(ModelRef.parse)] | None = None


def baseline_model(fleet: Fleet) -> ModelRef | None:
    """Return what `[baseline]` names, else the first of the expensive chain, if there is one."""
    expensive = fleet.chains.get("expensive")
    named = fleet.section("baseline", BaselineSettings).model
    return named or (expensive.models[0] if expensive else None)


def comparison(root: Path, fleet: Fleet) -> Comparison | None:
    """Return what compares with the model of `[baseline]`; None where there is none."""
    from . import wiring

    model = baseline_model(fleet)
    return Comparison(load_prices(root, fleet), model, wiring.BASELINES) if model else None


def saving_of(report: Report) -> Saving | None:
    """Return the saving of the requests of a report, if there is something to compare."""
    root = find_root()
    compared = comparison(root, load(root / "fleet.toml"))
    if compared is None or not report.rows:
        return None
    saving = compared.over(ledger_location(root), report.since, report.environment)
    # The rows of a report's attempts may have been removed meanwhile.
    return saving if saving.requests or saving.left_out else None


def show_saving(report: Report) -> ShownSaving | None:
    """Return the saving as text and as exact numbers."""
    saving = saving_of(report)
    if saving is None:
        return None
    since = "" if saving.since == report.since else f"Since {day_of(saving.since)}: "
    derived = {"saved_nano_usd": saving.saved_nano_usd, "share": saving.share}
    numbers = asdict(saving) | {"since": day_of(saving.since)} | derived
    return ShownSaving(f"{since}{saving}", numbers)
