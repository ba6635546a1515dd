"""The table `[baseline]`, and what `costs` says that requests saved against its model."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from ..fleet import Fleet, ModelRef
from ..settings import Settings
from .queries import day_of
from .report_text import Report, ShownSaving
from .saving import Baseline, Comparison, Saving

if TYPE_CHECKING:
    from .prices import Prices


class BaselineSettings(Settings):
    """The table `[baseline]` of fleet.toml: the model that requests are compared with."""

    model: Annotated[ModelRef, BeforeValidator(ModelRef.parse)] | None = None


def baseline_model(fleet: Fleet) -> ModelRef | None:
    """Return what `[baseline]` names, else the first of the expensive chain, if there is one."""
    expensive = fleet.chains.get("expensive")
    named = fleet.section("baseline", BaselineSettings).model
    return named or (expensive.models[0] if expensive else None)


def compare(fleet: Fleet, prices: "Prices", baselines: Mapping[str, Baseline]) -> Comparison | None:
    """Return what compares requests with that model; None where there is none."""
    model = baseline_model(fleet)
    return Comparison(prices, model, baselines) if model else None


def find_saving(report: Report, comparison: Comparison | None) -> Saving | None:
    """Return what the requests of a report saved, if there is something to compare."""
    if comparison is None or not report.rows:
        return None
    saving = comparison.over(report.location, report.since, report.environment)
    # The rows of a report's attempts may have been removed meanwhile.
    return saving if saving.requests or saving.left_out else None


def show_saving(
    report: Report, fleet: Fleet, prices: "Prices", *, baselines: Mapping[str, Baseline]
) -> ShownSaving | None:
    """Return the saving as text and as exact numbers."""
    saving = find_saving(report, compare(fleet, prices, baselines))
    if saving is None:
        return None
    since = "" if saving.since == report.since else f"Since {day_of(saving.since)}: "
    derived = {"saved_nano_usd": saving.saved_nano_usd, "share": saving.share}
    numbers = asdict(saving) | {"since": day_of(saving.since)} | derived
    return ShownSaving(f"{since}{saving}", numbers)
