"""Chains whose order costs more than it saves, found in the last 30 days."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from .findings import ENOUGH, WORTH, Finding, Question
from .queries import Totals, total
from .report_text import dollars


def search(question: Question) -> Iterator[Finding]:
    """Find escalations that do not pay, and first models that seldom answer."""
    rows = question.month("task_type", "chain", "provider", "request_model")
    for task, chain in dict.fromkeys(row.key[:2] for row in rows):
        models = [row for row in rows if row.key[:2] == (task, chain)]
        asked, first = total(models), max(models, key=lambda model: model.calls)
        if asked.calls >= ENOUGH:
            found = [*_dear_escalation(asked, first, models)] or _second(asked, first)
            yield from found


def _dear_escalation(asked: Totals, first: Totals, models: Sequence[Totals]) -> Iterator[Finding]:
    """Find retries and escalations that cost more than asking the later model at once."""
    direct = [
        (round(Decimal(model.cost_nano_usd) * asked.ok / model.ok), model.key[2:])
        for model in models
        if model is not first and model.ok >= ENOUGH and not model.unmeasured
    ]
    cost, key = min(direct, default=(asked.cost_nano_usd, ("", "")))
    saved = asked.cost_nano_usd - cost
    if asked.unpriced or saved <= WORTH * asked.cost_nano_usd:
        return
    task, chain, *ref = first.key
    text = (
        f"{task} on chain {chain} cost {dollars(asked.cost_nano_usd)} with its retries and "
        f"escalations; {key[1]} asked at once would have taken {dollars(cost)} for the same "
        f"{asked.ok:,} answers."
    )
    action = f"Put {':'.join(key)} before {':'.join(ref)} in [chains.{chain}]."
    evidence = {
        **{"task_type": task, "chain": chain, "n": asked.ok, "model": ":".join(key)},
        **{"cost_nano_usd": asked.cost_nano_usd, "other_nano_usd": cost},
    }
    yield Finding("escalation_costs_more", "evidence", saved, text, action, evidence)


def _second(asked: Totals, first: Totals) -> Iterator[Finding]:
    """Find a chain most of whose answers come from the models to fall back on."""
    later, lost = asked.ok - first.ok, first.failed + first.rejected
    if 2 * later <= asked.ok:
        return
    task, chain, *ref = first.key
    text = (
        f"{later:,} of {asked.ok:,} answers to {task} on chain {chain} come from its later "
        f"models; {ref[1]}, the first, was skipped {first.skipped:,} times and failed or was "
        f"rejected {lost:,} times, for {dollars(first.wasted_nano_usd)}."
    )
    action = f"See why with `costs --by chain,model`, or take it off the top of [chains.{chain}]."
    evidence = {
        **{"task_type": task, "chain": chain, "n": asked.ok, "answered_later": later},
        **{"model": ":".join(ref), "failures": lost, "skipped": first.skipped},
    }
    wasted = first.wasted_nano_usd
    yield Finding("second_answers_most", "evidence", wasted, text, action, evidence)
