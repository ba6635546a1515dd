"""Compare what requests cost with one call of the model of `[baseline]` for each of them."""

from pathlib import Path

from . import wiring
from .configuration import load_prices
from .runtime.fleet import Fleet, find_root, load
from .runtime.ledger.baseline import baseline_model, find_saving
from .runtime.ledger.report_text import Report
from .runtime.ledger.saving import Comparison, Saving


def comparison(root: Path, fleet: Fleet) -> Comparison | None:
    """Return what compares with the model of `[baseline]`; None where there is none."""
    model = baseline_model(fleet)
    return Comparison(load_prices(root, fleet), model, wiring.BASELINES) if model else None


def saving_of(report: Report) -> Saving | None:
    """Return the saving of the requests of a report, if there is something to compare."""
    root = find_root()
    return find_saving(report, comparison(root, load(root / "fleet.toml")))
