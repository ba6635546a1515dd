"""What this workspace is set to: the parts that fleet.toml names, prices, and the ledger's place.

Nothing is opened, and neither wiring.py nor the model library is imported before it is needed:
`--help` works where a module of the team does not, and `costs` starts fast.
"""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .runtime.errors import SettingsError
from .runtime.failure_kinds import ALWAYS
from .runtime.fleet import Deployment, Fleet, ModelRef, Provider, find_root, load
from .runtime.ledger.attempt import DEMO
from .runtime.ledger.location import LedgerSettings, Location, database_path
from .runtime.settings import warn_once

if TYPE_CHECKING:
    from .runtime.ledger.prices import Prices
    from .runtime.ledger.report_text import Report, ShownSaving
    from .runtime.run import Check

Part = TypeVar("Part")


def ledger_location(root: Path) -> Location:
    """Return where the ledger is. Raises LedgerError where its URL cannot be used."""
    from . import wiring

    return database_path(root, wiring.LEDGERS)


def read_environment() -> str:
    """Return the environment of the rows. Raises SettingsError where it is the demo's."""
    name = os.environ.get("FLEET_ENVIRONMENT") or "production"
    if name == DEMO:
        # No budget counts the demo's rows, and `costs` leaves them out.
        raise SettingsError(
            f"FLEET_ENVIRONMENT is '{DEMO}', which is the name for recorded requests",
            "take another name, or unset it",
        )
    return name


def find_part(
    kind: str,
    name: str,
    parts: Mapping[str, Part],
    hint: str = "connect it there, or name one that is",
) -> Part:
    """Return what wiring.py connects under a name. Raises SettingsError with the names there are."""
    if name not in parts:
        close = get_close_matches(name, parts, 1)
        hint = f"did you mean '{close[0]}'?" if close else hint
        known = ", ".join(parts) or "nothing"
        raise SettingsError(f"{kind} '{name}' is not in wiring.py, which connects {known}", hint)
    return parts[name]


def provider_of(ref: ModelRef) -> Provider:
    """Return the provider of a model. Raises SettingsError."""
    from . import wiring

    return find_part("fleet.toml: provider", ref.provider, wiring.PROVIDERS)


def keys_of(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    """Return the environment variables that a model needs beyond what its deployment says."""
    return provider_of(ref).keys(fleet.deployment(ref))


def missing_keys(ref: ModelRef, fleet: Fleet) -> tuple[str, ...]:
    """Return those variables of a model that are not set."""
    return tuple(key for key in keys_of(ref, fleet) if not os.environ.get(key))


def require_parts(fleet: Fleet) -> None:
    """Raise SettingsError where fleet.toml asks for what only an extra brings.

    What merely has no effect without its extra is warned of.
    """
    from . import wiring

    rules: set[str] = {fleet.budgets.at_limit}
    for chain in fleet.chains.values():
        rules |= {chain.on_exhausted, chain.on_content_filter}
    if "human" in rules and not wiring.HUMAN:
        raise SettingsError(
            'fleet.toml: "human" needs an extra', "run `scaffold add extra escalation`"
        )
    if fleet.section("ledger", LedgerSettings).record_content and not wiring.TEXTS:
        raise SettingsError(
            "fleet.toml: record_content needs an extra", "run `scaffold add extra content`"
        )
    if any(chain.on_cut != "fail" for chain in fleet.chains.values()) and not wiring.STREAM:
        warn_once(
            "fleet.toml: on_cut has no effect while answers come in one piece; "
            "streams need an extra: run `scaffold add extra streaming`"
        )
    for name, agent in fleet.agents.items():
        for key in agent.further:
            find_part(f"fleet.toml: agents.{name}: key", key, wiring.AGENT_KEYS)


def make_checks(stage: str, names: Sequence[str]) -> "list[Check]":
    """Make the checks that fleet.toml names for a stage, beyond those that every answer gets."""
    from . import wiring

    known = {**dict.fromkeys(ALWAYS), **wiring.CHECKS}
    hint = "more come with `scaffold add extra quality_checks`, `agreement` or `grounded`"
    checks: list[Check] = []
    for text in names:
        name, _, argument = text.partition(":")
        make = find_part("Check", name, known, hint)
        try:
            checks += [make(argument)] if make else []
        except ValueError as error:
            problem = f"fleet.toml: checks of {stage}: '{text}' cannot be used"
            raise SettingsError(problem, str(error)) from None
    return checks


def show_saving(report: "Report") -> "ShownSaving | None":
    """Return what the requests of a report saved; None where nothing compares them."""
    from . import wiring

    if wiring.SAVING is None:
        return None
    root = find_root()
    fleet = load(root / "fleet.toml")
    return wiring.SAVING(report, fleet, load_prices(root, fleet))


def load_prices(root: Path, fleet: Fleet) -> "Prices":
    """Return the prices of the wired providers' models. Raises SettingsError."""
    from . import wiring
    from .runtime.ledger.prices import Prices

    places = fleet.deployments
    list_ids = {name: provider.PRICES for name, provider in wiring.PROVIDERS.items()}
    free = {name for name, one in wiring.PROVIDERS.items() if getattr(one, "FREE_NAMES", False)}
    # Of all providers and deployments: the ledger has models that no chain asks any more.
    deployed = {
        f"{name}@{at}": place.model
        for name in list_ids
        for at, place in places.items()
        if place.model
    }

    def may_differ(ref: ModelRef) -> bool:
        varies = getattr(wiring.PROVIDERS.get(ref.provider), "price_varies", None)
        return bool(varies and varies(ref.model, places.get(ref.deployment or "") or Deployment()))

    make = wiring.PRICES() if wiring.PRICES else Prices
    prices = make(list_ids, {**dict.fromkeys(free), **deployed}, may_differ)
    prices.read_own(root / "prices.toml")
    return prices
