"""What grew: a spike, drafts that are rewritten too often, a month that heads over its budget."""

import calendar
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal

from .attempt import DAY_S, DEMO, NANO
from .findings import ENOUGH, MONTH_DAYS, WITHIN, Finding, Question
from .queries import Totals, day_of, month_by_task, sums, today, total
from .report_text import dollars, percent

REWRITTEN = 0.3
SPIKE = Decimal("1.5")


def search(question: Question) -> Iterator[Finding]:
    """Find spikes against the four weeks before, drafts thrown away, and the budget."""
    now = today()
    rows = sums(question.location, ("task_type", "week"), now - 35, now, question.environment)
    for task in dict.fromkeys(row.key[0] for row in rows):
        weeks = [row for row in rows if row.key[0] == task]
        yield from _spike(task, sorted(weeks, key=lambda week: week.key))
    yield from _drafts(question)
    yield from _over_budget(question)


def _spike(task: str, weeks: Sequence[Totals]) -> Iterator[Finding]:
    """Find seven whole days that cost half as much again as the dearest of four weeks before."""
    if len(weeks) < 5 or any(week.attempts < ENOUGH for week in weeks):
        return
    last, before = weeks[-1], total(weeks[:-1])
    newly_priced = before.unpriced / 4 - last.unpriced > WITHIN * last.attempts
    dearest = max(week.cost_nano_usd for week in weeks[:-1])
    if newly_priced or last.cost_nano_usd < SPIKE * dearest:
        return
    usual, calls = before.cost_nano_usd // 4, before.attempts // 4
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
    yield Finding("spike", "evidence", more, text, action, evidence)


def _drafts(question: Question) -> Iterator[Finding]:
    """Find out whether drafts are rewritten so often that drafting hardly pays."""
    tasks = {row.key[0]: row for row in question.month("task_type")}
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
    """Add to the month so far the rest of it, at the pace of the last seven whole days.

    None while fewer than five of those days have calls, and for the demo.
    """
    now = today()
    days = sums(question.location, ("day",), now - 7, now, question.environment)
    if len(days) < 5 or question.environment == DEMO:
        return None
    date = day_of(now)
    left = calendar.monthrange(date.year, date.month)[1] - date.day
    left_s = (left + 1) * DAY_S - int(time.time() % DAY_S)  # today's rest as well
    spent = month_by_task(question.location, question.environment).total()
    return spent + round(Decimal(total(days).cost_nano_usd) * left_s / (7 * DAY_S))


def _over_budget(question: Question) -> Iterator[Finding]:
    """Find out whether the month is over its budget, or will be."""
    budget = round(question.fleet.budgets.month_usd * NANO)
    spent = month_by_task(question.location, question.environment).total()
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
