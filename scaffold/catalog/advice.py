"""Whether to split models at all: a verdict, its reasons, and the figures it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from scaffold.catalog.economics import FEW_CALLS, Load, Option

ONE_MODEL = "one_model"
SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What more models ask of a team: hours a month, and US dollars an hour."""

    hours: Decimal
    usd_per_hour: Decimal

    @property
    def usd_per_month(self) -> Decimal:
        return self.hours * self.usd_per_hour


@dataclass(frozen=True, slots=True)
class Advice:
    """`verdict` is ONE_MODEL or SPLIT; `best` is the pattern it is about, if there is one.

    `break_even_calls` is the calls a day from which the saving pays for the upkeep.
    """

    verdict: str
    reasons: tuple[str, ...]
    baseline: Option
    best: Option | None
    saving_usd: Decimal | None
    break_even_calls: int | None


def advise(load: Load, options: Sequence[Option], upkeep: Upkeep, today: str | None) -> Advice:
    """Compare each pattern with what the team does today (default: one good model).

    Only patterns that do the same work are compared: what finds sources by itself is not.
    """
    asked = next((option for option in options if option.name == today), options[0])
    # What no window of the one takes, the other may: then that is what a pattern has to beat.
    baseline = next((one for one in (asked, *options[:2]) if not one.too_long), asked)
    priced = [one for one in options[2:] if one.comparable and one.usd_per_month is not None]
    best = min(priced, key=lambda option: option.usd_per_month or Decimal(0), default=None)
    saving = _saving(baseline, best)
    even = _break_even(load, saving, upkeep)
    if baseline.too_long:
        return _of_too_long(load, baseline, best)
    instead = ()
    if baseline is not asked:
        instead = (f"{_unfit(load, asked)}, so {baseline.name} is compared",)
    against = _against(load, baseline, best, saving, upkeep)
    if against:
        return Advice(ONE_MODEL, (*instead, *against), baseline, best, saving, even)
    assert best is not None and saving is not None
    reasons = (
        *instead,
        f"{best.name} saves about ${saving:,.0f} of ${baseline.usd_per_month:,.0f} a month",
        f"that is more than its upkeep of ${upkeep.usd_per_month:,.0f} a month",
        f"leave it where this holds: {best.when_not.rstrip('.')}",
    )
    return Advice(SPLIT, reasons, baseline, best, saving, even)


def _of_too_long(load: Load, baseline: Option, best: Option | None) -> Advice:
    """What the window of one model cannot take has no price to compare with."""
    reasons = [_unfit(load, baseline)]
    if best is None:
        return Advice(
            ONE_MODEL, (*reasons, "nor any pattern: send less"), baseline, None, None, None
        )
    reasons.append(f"{best.name} takes them, for about ${best.usd_per_month:,.0f} a month")
    reasons.append(f"leave it where this holds: {best.when_not.rstrip('.')}")
    return Advice(SPLIT, tuple(reasons), baseline, best, None, None)


def _unfit(load: Load, option: Option) -> str:
    tokens = load.input_tokens + load.output_tokens
    return f"{tokens:,} tokens do not fit the context window of {option.too_long[0]}"


def _saving(baseline: Option, best: Option | None) -> Decimal | None:
    if best is None or best.usd_per_month is None or baseline.usd_per_month is None:
        return None
    return baseline.usd_per_month - best.usd_per_month


def _break_even(load: Load, saving: Decimal | None, upkeep: Upkeep) -> int | None:
    if saving is None or saving <= 0 or not load.calls_per_day:
        return None
    per_call = saving / load.calls_per_day
    return max(FEW_CALLS, int(upkeep.usd_per_month / per_call) + 1)


def _against(
    load: Load, baseline: Option, best: Option | None, saving: Decimal | None, upkeep: Upkeep
) -> list[str]:
    """The reasons to stay with one model; none means that splitting pays."""
    found: list[str] = []
    if load.calls_per_day < FEW_CALLS:
        found.append(
            f"{load.calls_per_day:,} calls a day are under {FEW_CALLS:,}: too few to split"
        )
    if best is None or saving is None:
        found.append(
            "a price is unknown, so no saving can be shown: name providers whose models have list"
            " prices (--providers)"
        )
    elif saving < 0:
        found.append(f"{best.name} would cost ${-saving:,.2f} a month more than {baseline.name}")
    elif saving <= upkeep.usd_per_month and load.calls_per_day:
        found.append(
            f"{best.name} would save ${saving:,.2f} a month,"
            f" not more than its upkeep of ${upkeep.usd_per_month:,.0f}"
        )
    return found
