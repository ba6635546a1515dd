"""What does not work: calls that fail, circuits that are open, answers without usage, models that go."""

import time
from collections.abc import Iterator, Mapping

from .attempt import DAY_US
from .findings import FEW, Finding, Question
from .queries import MODEL, Totals, mistakes, model_of, sums, today, total
from .report_text import alarm, percent

DAYS = 7
OFTEN = 0.2
UNMEASURED = 0.1


def search(question: Question) -> Iterator[Finding]:
    """Examine the last seven days and the models of fleet.toml, the worst first."""
    since = today() + 1 - DAYS
    rows = sums(question.location, MODEL, since, environment=question.environment)
    if rows and (problem := alarm(total(rows))):
        text = f"{problem} That is in the last {DAYS} days."
        evidence = {"n": total(rows).verdicts, "ok": total(rows).ok}
        yield _urgent("all_fail", text, "Run `doctor --live`, which says what is wrong.", evidence)
    else:
        yield from _find_failing(rows)
    yield from _find_open_circuits(question)
    yield from _find_unmeasured(rows)
    yield from _find_leaving(question)


def _find_failing(rows: list[Totals]) -> Iterator[Finding]:
    """Find models that fail more often than one time in five."""
    for row in rows:
        if row.verdicts >= FEW and (row.failure_rate or 0) > OFTEN:
            model, rate = model_of(row.key), percent(row.failure_rate)
            text = f"{model} failed in {rate} of {row.verdicts:,} attempts in the last {DAYS} days."
            action = "See the reasons with `costs --by chain,model`, and run `doctor`."
            evidence = {"model": model, "n": row.verdicts, "ok": row.ok}
            yield _urgent("fails_often", text, action, evidence)


def _find_open_circuits(question: Question) -> Iterator[Finding]:
    """Find models that were passed over today for their failures and did not answer since."""
    day_ago = time.time_ns() // 1000 - DAY_US
    skipped = mistakes(question.location, ["circuit_open"], day_ago, question.environment)
    for *key, _, times in skipped:
        model = model_of(key)
        text = f"{model} is left alone: its circuit is open, {times:,} calls passed it over."
        action = "Run `doctor --live`: it shows what the model answers."
        yield _urgent("circuit_open", text, action, {"model": model, "n": times})


def _find_unmeasured(rows: list[Totals]) -> Iterator[Finding]:
    """Find models whose answers come without usage: their cost is unknown."""
    for row in rows:
        answers = row.ok + row.rejected
        if answers >= FEW and row.unmeasured > UNMEASURED * answers:
            model, share = model_of(row.key), percent(row.unmeasured / answers)
            text = f"{share} of {answers:,} answers of {model} came without usage: their cost is in no sum."
            action = "Switch usage on in its server, or replace the model in fleet.toml."
            evidence = {"model": model, "n": answers, "unmeasured": row.unmeasured}
            yield _urgent("unmeasured", text, action, evidence)


def _find_leaving(question: Question) -> Iterator[Finding]:
    """Find models of the chains that the list of prices calls deprecated."""
    chains = question.fleet.chains.values()
    for ref in dict.fromkeys(ref for chain in chains for ref in chain.models):
        if why := question.prices.leaving(ref):
            text = f"{ref} is about to be withdrawn: {why}"
            action = "Put its successor in its place in fleet.toml, then run `doctor --live`."
            yield _urgent("withdrawn", text, action, {"model": str(ref)})


def _urgent(kind: str, text: str, action: str, evidence: Mapping[str, int | str]) -> Finding:
    return Finding(kind, "evidence", 0, text, action, evidence, urgent=True)
