"""What the ledger says should change, the most dollars a month first.

A month is the last 30 days as they were: nothing is extrapolated from a shorter past. A rate is
evidence from 30 verdicts on. Where costs are compared, a group with a missing price takes no part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from .prices import NANO
from .queries import (
    EPOCH,
    Totals,
    day_of,
    dollars,
    month_nano_usd,
    percent,
    sums,
    today,
    total,
)
from .store import Location

MONTH_DAYS = 30
ENOUGH = 30
FEW = 10
WITHIN = 0.02
WORTH = Decimal("0.1")
SHORT_TOKENS = 200
REWRITTEN = 0.3
SPIKE = Decimal("1.5")

Price = Callable[[str, str, Totals], int | None]
"""Nano-dollars that a group's tokens would cost on a provider's model; None: unpriced."""
Numbers = Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change: what it costs a month, on which numbers, and what to do.

    `basis` "evidence": the ledger has seen the better way work. "hypothesis": it has not yet.
    """

    kind: str
    basis: Literal["evidence", "hypothesis"]
    nano_usd_per_month: int
    text: str
    action: str
    evidence: Numbers


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows findings are looked for in, and the models (provider, name) they may propose."""

    location: Location
    price: Price
    models: Sequence[tuple[str, str]] = ()
    budget_usd: Decimal = Decimal(0)
    environment: str | None = None


def find(question: Question) -> list[Finding]:
    """All findings, the dearest first. Raises LedgerError."""
    now = today()
    by = ("task_type", "chain", "provider", "request_model")
    month = sums(question.location, by, now + 1 - MONTH_DAYS, now + 1, question.environment)
    weeks = sums(question.location, ("task_type", "week"), now - 35, now, question.environment)
    found: list[Finding] = []
    for (task,), models in _grouped(month, slice(0, 1), slice(2, 4)):
        for dear in models:
            found += _as_good(task, dear, models, question) or _cheaper(
                task, dear, models, question
            )
    for (task, chain), models in _grouped(month, slice(0, 2), slice(2, 4)):
        found += _dear_escalation(task, chain, models) or _second(task, chain, models)
    for (task,), parts in _grouped(weeks, slice(0, 1), slice(1, 2)):
        found += _spike(task, {part.key[0]: part for part in parts})
    found += [*_drafts(month), *_over_budget(question)]
    return sorted(found, key=lambda finding: -finding.nano_usd_per_month)


def _as_good(
    task: str, dear: Totals, models: Sequence[Totals], question: Question
) -> list[Finding]:
    """A cheaper model that the task already uses succeeds as often."""
    fits = [
        (cost, other.key, other)
        for other in models
        if _does_as_well(other, dear)
        and (cost := _cost_on(other, dear, question.price)) is not None
    ]
    if not fits or dear.unpriced:
        return []
    cost, key, other = min(fits)
    saved = dear.cost_nano_usd - cost
    if saved <= WORTH * dear.cost_nano_usd:
        return []
    text = (
        f"{task} on {dear.key[1]} cost {dollars(dear.cost_nano_usd)} in 30 days; {key[1]} does it "
        "as well "
        f"({percent(other.success_rate)} of {_verdicts(other):,} accepted against "
        f"{percent(dear.success_rate)} of {_verdicts(dear):,}) and would take {dollars(cost)} for "
        "the same tokens."
    )
    action = (
        f"Put {':'.join(key)} first for {task} in fleet.toml, for a part of the traffic to begin "
        "with: it may have had the easier requests so far."
    )
    evidence = {**_numbers(task, dear, key, cost), "other_n": _verdicts(other)}
    evidence["other_success_rate"] = round(other.success_rate or 0, 4)
    return [Finding("cheaper_model", "evidence", saved, text, action, evidence)]


def _cheaper(
    task: str, dear: Totals, models: Sequence[Totals], question: Question
) -> list[Finding]:
    """A dear model gives short answers; the fleet has one that would take less than half."""
    if dear.ok < FEW or dear.unpriced or dear.output_tokens > SHORT_TOKENS * dear.ok:
        return []
    known = {model.key for model in models if _verdicts(model) >= ENOUGH}
    fits = [
        (cost, key)
        for key in question.models
        if key not in known and (cost := question.price(*key, dear)) is not None
    ]
    if not fits or 2 * min(fits)[0] > dear.cost_nano_usd:
        return []
    cost, key = min(fits)
    text = (
        f"{task} on {dear.key[1]} cost {dollars(dear.cost_nano_usd)} in 30 days, for {dear.ok:,} "
        f"answers of {dear.output_tokens // dear.ok} tokens; {key[1]} would take {dollars(cost)} for the same "
        "tokens."
    )
    action = (
        f"Whether {key[1]} does it as well is not known. Shadow test: ask it the next 100 {task} "
        "requests as well, and change over when at least 98 agree."
    )
    saved = dear.cost_nano_usd - cost
    evidence = _numbers(task, dear, key, cost)
    return [Finding("try_cheaper", "hypothesis", saved, text, action, evidence)]


def _dear_escalation(task: str, chain: str, models: Sequence[Totals]) -> list[Finding]:
    """Retries and escalations cost more than asking the later model at once would have."""
    asked, first = total(models), max(models, key=lambda model: model.calls)
    direct = [
        (round(Decimal(model.cost_nano_usd) * asked.ok / model.ok), model.key)
        for model in models
        if model is not first and model.ok >= ENOUGH
    ]
    if asked.calls < ENOUGH or asked.unpriced or not direct:
        return []
    cost, key = min(direct)
    saved = asked.cost_nano_usd - cost
    if saved <= WORTH * asked.cost_nano_usd:
        return []
    text = (
        f"{task} on chain {chain} cost {dollars(asked.cost_nano_usd)} with its retries and "
        f"escalations; {key[1]} asked at once would have taken {dollars(cost)} for the same "
        f"{asked.ok:,} answers."
    )
    action = f"Put {':'.join(key)} before {':'.join(first.key)} in [chains.{chain}]."
    evidence = {
        **{"task_type": task, "chain": chain, "n": asked.ok, "model": ":".join(key)},
        **{"cost_nano_usd": asked.cost_nano_usd, "other_nano_usd": cost},
    }
    return [Finding("escalation_costs_more", "evidence", saved, text, action, evidence)]


def _second(task: str, chain: str, models: Sequence[Totals]) -> list[Finding]:
    """More than half of the answers come from models that are there to fall back on."""
    asked, first = total(models), max(models, key=lambda model: model.calls)
    later, lost = asked.ok - first.ok, first.failed + first.rejected
    if asked.calls < ENOUGH or 2 * later <= asked.ok:
        return []
    text = (
        f"{later:,} of {asked.ok:,} answers to {task} on chain {chain} come from its later "
        f"models; {first.key[1]}, the first, was skipped {first.skipped:,} times and failed or was "
        f"rejected {lost:,} times, for {dollars(first.wasted_nano_usd)}."
    )
    action = f"See why with `costs --by chain,model`, or take it off the top of [chains.{chain}]."
    evidence = {
        **{"task_type": task, "chain": chain, "n": asked.ok, "answered_later": later},
        **{"model": ":".join(first.key), "failures": lost, "skipped": first.skipped},
    }
    wasted = first.wasted_nano_usd
    return [Finding("second_answers_most", "evidence", wasted, text, action, evidence)]


def _spike(task: str, weeks: Mapping[int, Totals]) -> list[Finding]:
    """The last seven whole days cost half as much again as the dearest of four weeks before."""
    if len(weeks) < 5 or any(week.attempts < ENOUGH for week in weeks.values()):
        return []
    last, before = weeks[4], [weeks[week] for week in range(4)]
    newly_priced = total(before).unpriced / 4 - last.unpriced > WITHIN * last.attempts
    if newly_priced or last.cost_nano_usd < SPIKE * max(week.cost_nano_usd for week in before):
        return []
    usual, calls = total(before).cost_nano_usd // 4, total(before).attempts // 4
    text = (
        f"{task} cost {dollars(last.cost_nano_usd)} in the last seven whole days and "
        f"{dollars(usual)} in a week before that: {last.attempts:,} calls against {calls:,}."
    )
    action = f"Look for what changed: `costs --days 35 --by day,model`, and the changes to {task}."
    more = round(Decimal(last.cost_nano_usd - usual) * MONTH_DAYS / 7)
    evidence = {
        **{"task_type": task, "n": last.attempts, "usual_n": calls},
        **{"cost_nano_usd": last.cost_nano_usd, "usual_nano_usd": usual},
    }
    return [Finding("spike", "evidence", more, text, action, evidence)]


def _drafts(month: Sequence[Totals]) -> Iterator[Finding]:
    """Drafts are rewritten so often that drafting hardly pays."""
    tasks = {task: total(parts) for (task,), parts in _grouped(month, slice(0, 1), slice(2, 4))}
    drafts, rewrites = tasks.get("drafting"), tasks.get("rewriting")
    if not drafts or not rewrites or drafts.ok < ENOUGH or drafts.unpriced:
        return
    share = min(1.0, rewrites.ok / drafts.ok)
    if share <= REWRITTEN:
        return
    lost = round(drafts.cost_nano_usd * Decimal(share))
    text = (
        f"{percent(share)} of {drafts.ok:,} drafts were rewritten; the drafts thrown away cost "
        f"{dollars(lost)}."
    )
    action = "Better the drafting prompt or its model, or lower [quality] threshold in fleet.toml."
    evidence = {"n": drafts.ok, "rewritten": rewrites.ok, "share": round(share, 4)}
    yield Finding("drafts_rewritten", "evidence", lost, text, action, evidence)


def forecast_nano_usd(question: Question) -> int | None:
    """The month so far, and the rest of it at the pace of the last seven whole days.

    None while fewer than five of those days have calls.
    """
    now = today()
    days = sums(question.location, ("day",), now - 7, now, question.environment)
    if len(days) < 5:
        return None
    next_month = (day_of(now).replace(day=1) + (day_of(32) - EPOCH)).replace(day=1)
    left = (next_month - day_of(now)).days - 1
    spent = month_nano_usd(question.location, question.environment)
    return spent + round(Decimal(total(days).cost_nano_usd) * left / 7)


def _over_budget(question: Question) -> Iterator[Finding]:
    """The month is over its budget, or will be."""
    budget = round(question.budget_usd * NANO)
    spent = month_nano_usd(question.location, question.environment)
    end = max(spent, forecast_nano_usd(question) or 0)
    if not budget or end <= budget:
        return
    text = (
        f"This month has cost {dollars(spent)} and heads for {dollars(end)}; its budget is "
        f"{dollars(budget)}."
    )
    action = "Act on what else is listed here, or raise [budgets] month_usd in fleet.toml."
    evidence = {"spent_nano_usd": spent, "forecast_nano_usd": end, "budget_nano_usd": budget}
    yield Finding("over_budget", "evidence", end - budget, text, action, evidence)


def _grouped(
    rows: Sequence[Totals], group: slice, key: slice
) -> Iterator[tuple[tuple[Any, ...], list[Totals]]]:
    """Totals by one part of their key, each with its totals by another part."""
    found: dict[tuple[Any, ...], dict[tuple[Any, ...], list[Totals]]] = {}
    for row in rows:
        found.setdefault(row.key[group], {}).setdefault(row.key[key], []).append(row)
    for name, parts in found.items():
        yield name, [total(part, own) for own, part in parts.items()]


def _does_as_well(other: Totals, dear: Totals) -> bool:
    if min(_verdicts(other), _verdicts(dear)) < ENOUGH or other.key == dear.key:
        return False
    judged = min(other.quality_n, dear.quality_n) >= ENOUGH
    worse = judged and _quality(other) < _quality(dear) - WITHIN
    return not worse and (other.success_rate or 0) >= (dear.success_rate or 0) - WITHIN


def _cost_on(other: Totals, dear: Totals, price: Price) -> int | None:
    """The dear one's tokens on the other model; without a price, calls at its average cost."""
    if other.unpriced or not other.priced:
        return None
    provider, model = other.key
    listed = price(provider, model, dear)
    average = Decimal(other.cost_nano_usd) * dear.attempts / other.attempts
    return round(average) if listed is None else listed


def _verdicts(row: Totals) -> int:
    return row.ok + row.failed + row.rejected


def _quality(row: Totals) -> float:
    return row.quality_milli / row.quality_n / 1000


def _numbers(
    task: str, dear: Totals, other: tuple[str, str], cost: int
) -> dict[str, int | float | str]:
    return {
        **{"task_type": task, "model": ":".join(dear.key), "n": _verdicts(dear)},
        **{"input_tokens": dear.input_tokens, "output_tokens": dear.output_tokens},
        **{"cost_nano_usd": dear.cost_nano_usd, "success_rate": round(dear.success_rate or 0, 4)},
        **{"other_model": ":".join(other), "other_nano_usd": cost},
    }
