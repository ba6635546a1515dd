"""What does not work: calls that fail, circuits that are open, answers without usage, models that go."""

import time
from collections.abc import Iterator, Mapping

from . import queries
from .attempt import DAY_US, DEMO
from .findings import FEW, Finding, Question
from .location import select
from .queries import Totals, sums, today, total
from .report_text import alarm, percent

DAYS = 7
OFTEN = 0.2
UNMEASURED = 0.1


def search(question: Question) -> Iterator[Finding]:
    """Examine the last seven days and the models of fleet.toml, the worst first."""
    by = ("provider", "request_model", "deployment")
    rows = sums(question.location, by, today() + 1 - DAYS, environment=question.environment)
    if rows and (said := alarm(total(rows))):
        evidence: dict[str, int | str] = {"n": total(rows).verdicts, "ok": total(rows).ok}
        text = f"{said} That is in the last {DAYS} days."
        yield _urgent("all_fail", text, "Run `doctor --live`, which says what is wrong.", evidence)
    elif rows:
        yield from _find_failing(rows)
    yield from _find_open_circuits(question)
    yield from _find_unmeasured(rows)
    yield from _find_leaving(question)


def _find_failing(rows: list[Totals]) -> Iterator[Finding]:
    """Find models that fail more often than one time in five."""
    for row in rows:
        if row.verdicts >= FEW and (row.failure_rate or 0) > OFTEN:
            model = queries.model_of(row.key)
            text = (
                f"{model} failed in {percent(row.failure_rate)} of {row.verdicts:,} attempts in the "
                f"last {DAYS} days."
            )
            action = "See the reasons with `costs --by chain,model`, and run `doctor`."
            evidence = {"model": model, "n": row.verdicts, "ok": row.ok}
            yield _urgent("fails_often", text, action, evidence)


def _find_open_circuits(question: Question) -> Iterator[Finding]:
    """Find models that were passed over today for their failures and did not answer since."""
    query = (
        "SELECT provider, request_model, deployment, COUNT(error_type) FROM attempts WHERE ts_us >= ? "
        f"AND environment {'!=' if question.environment is None else '='} ? AND (outcome = 'ok' OR error_type = 'circuit_open') "
        "GROUP BY provider, request_model, deployment "
        "HAVING MAX(CASE outcome WHEN 'ok' THEN 0 ELSE ts_us END) "
        "> MAX(CASE outcome WHEN 'ok' THEN ts_us ELSE 0 END)"
    )
    values = (time.time_ns() // 1000 - DAY_US, question.environment or DEMO)
    for *place, times in select(question.location, query, values):
        model = queries.model_of(place)
        text = f"{model} is left alone: its circuit is open, {times:,} calls passed it over."
        action = "Run `doctor --live`: it shows what the model answers."
        evidence = {"model": model, "n": times}
        yield _urgent("circuit_open", text, action, evidence)


def _find_unmeasured(rows: list[Totals]) -> Iterator[Finding]:
    """Find models whose answers come without usage: their cost is unknown."""
    for row in rows:
        answers = row.ok + row.rejected
        if answers >= FEW and row.unmeasured > UNMEASURED * answers:
            model, share = queries.model_of(row.key), row.unmeasured / answers
            text = (
                f"{percent(share)} of {answers:,} answers of {model} came without usage: their cost "
                "is in no sum."
            )
            action = (
                "Switch usage on in its server, or put another model in its place in fleet.toml."
            )
            evidence = {"model": model, "n": answers, "unmeasured": row.unmeasured}
            yield _urgent("unmeasured", text, action, evidence)


def _find_leaving(question: Question) -> Iterator[Finding]:
    """Find models of the chains that the list of prices calls deprecated."""
    refs = dict.fromkeys(ref for chain in question.fleet.chains.values() for ref in chain.models)
    for ref in refs:
        if why := question.prices.leaving(ref):
            text = f"{ref} is about to be withdrawn: {why}"
            action = "Put its successor in its place in fleet.toml, then run `doctor --live`."
            yield _urgent("withdrawn", text, action, {"model": str(ref)})


def _urgent(kind: str, text: str, action: str, evidence: Mapping[str, int | str]) -> Finding:
    return Finding(kind, "evidence", 0, text, action, dict(evidence), urgent=True)
