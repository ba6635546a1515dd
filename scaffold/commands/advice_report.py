"""The report of `scaffold advise`: for a person, or as one JSON object."""

import textwrap
from decimal import Decimal

from scaffold.catalog.advice import SPLIT, Advice
from scaffold.catalog.alternatives import Alternative, Alternatives
from scaffold.catalog.break_even import describe_judges
from scaffold.catalog.catalog import Catalog, list_providers
from scaffold.catalog.estimate import Load
from scaffold.catalog.kinds import Selection

_WIDTH = 96
_AT_LIST_PRICE = (
    "US dollars a month at list price and typical sizes, not measured on your traffic: a saving is",
    "only one if the answers stay good. Try it on your own requests before you split.",
)


def as_text(advice: Advice, alternatives: Alternatives, catalog: Catalog) -> str:
    """Return the verdict, a price for each alternative, and what the figures rest on."""
    verdict = "Split: " if advice.verdict == SPLIT else "Stay with one model: "
    lines = [verdict + "; ".join(advice.reasons) + ".", ""]
    for alternative in alternatives.all():
        lines += _describe(alternative)
    if advice.break_even_calls:
        even = f"The saving pays for the upkeep from {advice.break_even_calls:,} calls a day on."
        lines += ["", even]
    notes = _list_notes(advice, alternatives, catalog)
    return "\n".join([*lines, "", *notes, *_AT_LIST_PRICE])


def as_json(advice: Advice, alternatives: Alternatives, load: Load) -> dict[str, object]:
    """Return the advice under the keys of `--json`."""
    return {
        "verdict": advice.verdict,
        "reasons": advice.reasons,
        "baseline": advice.baseline.name,
        "pattern": advice.best.name if advice.best else None,
        "saving_usd_per_month": _to_text(advice.saving_usd),
        "break_even_calls_per_day": advice.break_even_calls,
        "options": [_to_row(one, load) for one in alternatives.all()],
    }


def _describe(one: Alternative) -> list[str]:
    """Return price and models, and below a pattern's, one model that does the same work."""
    lines = [f"  {one.name:<20}{_format_price(one):>14}  {', '.join(one.models)}"]
    if one.same_work:
        prices = ", ".join(
            f"{tier} {_format_price(single)}" for tier, single in one.same_work.items()
        )
        work = "the same work"
        if one.source_tokens:
            work = f"question and {one.source_tokens:,} tokens of sources, so not compared"
        lines.append(f"      one model for {work}: {prices}")
    return lines


def _format_price(one: Alternative) -> str:
    if one.too_long:
        return "too long"
    return "unpriced" if one.usd_per_month is None else f"${one.usd_per_month:,.2f}"


def _list_notes(advice: Advice, alternatives: Alternatives, catalog: Catalog) -> list[str]:
    """Say from which length on a judging pattern pays, and what is claimed of the best one."""
    refs = [ref for one in alternatives.all() for ref in one.models]
    providers = list_providers(refs)
    notes: list[str] = []
    for pattern in catalog.of("pattern"):
        chosen = Selection(features={"provider": providers, "pattern": [pattern.name]})
        notes.append(describe_judges(catalog, pattern, chosen) or "")
        if advice.best and advice.best.name == pattern.name and pattern.claim:
            notes.append(f"Claimed: {pattern.claim.says} Measured: {pattern.claim.measured}")
    return [line for note in notes if note for line in [*textwrap.wrap(note, _WIDTH), ""]]


def _to_row(one: Alternative, load: Load) -> dict[str, object]:
    same_work = {tier: _to_text(single.usd_per_month) for tier, single in one.same_work.items()}
    return {
        "name": one.name,
        "models": one.models,
        "usd_per_month": _to_text(one.usd_per_month),
        "one_model_usd_per_month": same_work or None,
        "input_tokens": load.input_tokens + one.source_tokens,
        "output_tokens": load.output_tokens,
        "comparable": one.comparable,
        "too_long_for": one.too_long,
    }


def _to_text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
