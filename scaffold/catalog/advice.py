"""Whether to split models at all: a verdict, its reasons, and the figures it rests on."""

from dataclasses import dataclass
from decimal import Decimal

from scaffold.catalog.alternatives import Alternative, Alternatives
from scaffold.catalog.estimate import Load

ONE_MODEL = "one_model"
SPLIT = "split"
FEW_CALLS = 1000
"""Calls a day under which one good model is enough, as the manifests of the patterns say."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What more models ask of a team: hours a month, and US dollars an hour."""

    hours: Decimal
    usd_per_hour: Decimal

    @property
    def usd_per_month(self) -> Decimal:
        """US dollars a month."""
        return self.hours * self.usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`verdict` is ONE_MODEL or SPLIT; `best` is the pattern it is about, if there is one.

    `break_even_calls` is the calls a day from which the saving pays for the upkeep.
    """

    verdict: str
    reasons: tuple[str, ...]
    baseline: Alternative
    best: Alternative | None = None
    saving_usd: Decimal | None = None
    break_even_calls: int | None = None


def advise(
    load: Load, alternatives: Alternatives, upkeep: Upkeep, today: str | None = None
) -> Advice:
    """Compare each pattern with what the team does `today` (default: one good model).

    Only patterns that do the same work are compared: one that finds sources itself does not.
    """
    asked = next(
        (one for one in alternatives.singles if one.name == today), alternatives.singles[0]
    )
    # Where a request does not fit the model of today, a pattern has to beat one that it fits.
    baseline = next((one for one in (asked, *alternatives.singles) if not one.too_long), asked)
    priced = [p for p in alternatives.patterns if p.comparable and p.usd_per_month is not None]
    best = min(
        priced, key=lambda alternative: alternative.usd_per_month or Decimal(0), default=None
    )
    if baseline.too_long:
        return _advise_too_long(load, baseline, best)
    replaced: list[str] = []
    if baseline is not asked:
        replaced = [f"{_describe_misfit(load, asked)}, so {baseline.name} is compared"]
    saving = _compute_saving(baseline, best)
    against = _list_reasons_against(load, baseline, best, saving, upkeep)
    reasons = against or _list_reasons_for(baseline, best, saving, upkeep)
    return Advice(
        verdict=ONE_MODEL if against else SPLIT,
        reasons=(*replaced, *reasons),
        baseline=baseline,
        best=best,
        saving_usd=saving,
        break_even_calls=_find_break_even(load, saving, upkeep),
    )


def _advise_too_long(load: Load, baseline: Alternative, best: Alternative | None) -> Advice:
    """Advise without a saving: what does not fit a context window has no price to compare."""
    reasons = [_describe_misfit(load, baseline)]
    if best is None:
        reasons.append("nor any pattern: send less")
        return Advice(verdict=ONE_MODEL, reasons=tuple(reasons), baseline=baseline)
    reasons.append(f"{best.name} takes them, for about ${best.usd_per_month:,.0f} a month")
    reasons.append(_describe_limit(best))
    return Advice(verdict=SPLIT, reasons=tuple(reasons), baseline=baseline, best=best)


def _describe_misfit(load: Load, alternative: Alternative) -> str:
    tokens = load.input_tokens + load.output_tokens
    return f"{tokens:,} tokens do not fit the context window of {alternative.too_long[0]}"


def _describe_limit(best: Alternative) -> str:
    return f"leave it where this holds: {best.when_not.rstrip('.')}"


def _compute_saving(baseline: Alternative, best: Alternative | None) -> Decimal | None:
    if best is None or best.usd_per_month is None or baseline.usd_per_month is None:
        return None
    return baseline.usd_per_month - best.usd_per_month


def _find_break_even(load: Load, saving: Decimal | None, upkeep: Upkeep) -> int | None:
    if saving is None or saving <= 0 or not load.calls_per_day:
        return None
    per_call = saving / load.calls_per_day
    # Below FEW_CALLS the verdict is one model, whatever it would save.
    return max(FEW_CALLS, int(upkeep.usd_per_month / per_call) + 1)


def _list_reasons_for(
    baseline: Alternative, best: Alternative | None, saving: Decimal | None, upkeep: Upkeep
) -> list[str]:
    """Return the reasons to split, once there are none against it."""
    if best is None or saving is None:
        return []
    return [
        f"{best.name} saves about ${saving:,.0f} of ${baseline.usd_per_month:,.0f} a month",
        f"that is more than its upkeep of ${upkeep.usd_per_month:,.0f} a month",
        _describe_limit(best),
    ]


def _list_reasons_against(
    load: Load,
    baseline: Alternative,
    best: Alternative | None,
    saving: Decimal | None,
    upkeep: Upkeep,
) -> list[str]:
    """Return the reasons to stay with one model; none means that splitting pays."""
    reasons: list[str] = []
    if load.calls_per_day < FEW_CALLS:
        reasons.append(
            f"{load.calls_per_day:,} calls a day are under {FEW_CALLS:,}: too few to split"
        )
    if best is None or saving is None:
        reasons.append(
            "a price is unknown, so no saving can be shown: name providers whose models have list"
            " prices (--providers)"
        )
    elif saving < 0:
        reasons.append(f"{best.name} would cost ${-saving:,.2f} a month more than {baseline.name}")
    elif saving <= upkeep.usd_per_month and load.calls_per_day:
        reasons.append(
            f"{best.name} would save ${saving:,.2f} a month,"
            f" not more than its upkeep of ${upkeep.usd_per_month:,.0f}"
        )
    return reasons
