"""What the ledger says should change, the most dollars a month first.

A month is the last 30 days as they were: nothing is extrapolated from a shorter past. A rate is
evidence from 30 verdicts on. Where costs are compared, a group whose cost is not all known takes no
part.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ..fleet import Fleet, ModelRef
from .location import Location
from .queries import Totals, sums, today
from .report_text import dollars, percent

if TYPE_CHECKING:
    from .prices import Prices

MONTH_DAYS = 30
ENOUGH = 30
FEW = 10
WITHIN = 0.02
WORTH, HALF = Decimal("0.1"), Decimal("0.5")
SHORT_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change: what it costs a month, on which numbers, and what to do.

    `urgent`: something does not work, whatever it costs; it stands before all others.

    `basis` "evidence": the ledger has seen the better way work. "hypothesis": it has not yet.
    """

    kind: str
    basis: Literal["evidence", "hypothesis"]
    nano_usd_per_month: int
    text: str
    action: str
    evidence: Mapping[str, int | float | str]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows findings are looked for in, and the fleet and prices that they are about."""

    location: Location
    fleet: Fleet
    prices: "Prices"
    environment: str | None = None

    def month(self, *by: str) -> list[Totals]:
        """Return the last 30 days by some groups. Raises LedgerError."""
        now = today()
        return sums(self.location, by, now + 1 - MONTH_DAYS, now + 1, self.environment)

    def price(self, ref: ModelRef, row: Totals) -> int | None:
        """Return the nano-dollars that a group's tokens would cost on a model; None: unpriced.

        Priced as calls of the average size, since tiers depend on it, and the remainder.
        """
        calls = max(1, row.priced)
        tokens = (row.input_tokens, row.output_tokens, row.cache_read_input_tokens)
        call = self._cost(ref, *(count // calls for count in tokens))
        rest = self._cost(ref, *(count % calls for count in tokens))
        return None if call is None or rest is None else calls * call + rest

    def _cost(self, ref: ModelRef, asked: int, answered: int, read: int) -> int | None:
        from genai_prices import Usage  # 0.1 s that `--help` does not wait for

        usage = Usage(
            input_tokens=asked, output_tokens=answered, cache_read_tokens=min(asked, read)
        )
        return self.prices.cost(ref, usage).nano_usd


SearchFindings = Callable[[Question], Iterable[Finding]]
Forecast = Callable[[Question], int | None]
"""What the month will cost in nano-dollars; None where too little is known."""


def find(question: Question, searches: Iterable[SearchFindings]) -> list[Finding]:
    """Return what the searches find, the dearest first. Raises LedgerError."""
    found = [finding for search in searches for finding in search(question)]
    return sorted(found, key=lambda finding: (not finding.urgent, -finding.nano_usd_per_month))


def search(question: Question) -> Iterator[Finding]:
    """Find models for which there is a cheaper one that does as well, or might."""
    chained = [ref for chain in question.fleet.chains.values() for ref in chain.models]
    models = dict.fromkeys(ModelRef(ref.provider, ref.model) for ref in chained)
    rows = question.month("task_type", "provider", "request_model")
    for dear in rows:
        group = {ModelRef(*row.key[1:]): row for row in rows if row.key[0] == dear.key[0]}
        tried = {ref: row for ref, row in group.items() if row is dear or row.verdicts >= ENOUGH}
        good = {ref: _cost_on(ref, row, dear, question) for ref, row in tried.items()}
        new = {ref: question.price(ref, dear) for ref in models if ref not in tried}
        short = dear.ok >= FEW and dear.output_tokens <= SHORT_TOKENS * dear.ok
        if found := _cheapest(good, dear, WORTH):
            yield _finding(dear, *found, tried[found[0]])
        elif short and (found := _cheapest(new, dear, HALF)):
            yield _finding(dear, *found)


def _cost_on(ref: ModelRef, other: Totals, dear: Totals, question: Question) -> int | None:
    """Price the dear one's tokens on one that does as well; its average cost without a price."""
    if other is dear or not _does_as_well(other, dear):
        return None
    listed = question.price(ref, dear)
    if listed is None and other.priced and not (other.unpriced or other.unmeasured):
        return round(Decimal(other.cost_nano_usd) * dear.attempts / other.attempts)
    return listed


def _does_as_well(other: Totals, dear: Totals) -> bool:
    """Compare within two points: successes, and where both were scored often, their scores."""
    if dear.verdicts < ENOUGH:
        return False
    if min(other.quality_n, dear.quality_n) >= ENOUGH:
        score, wanted = (row.quality_milli / row.quality_n / 1000 for row in (other, dear))
        if score < wanted - WITHIN:
            return False
    return (other.success_rate or 0) >= (dear.success_rate or 0) - WITHIN


def _cheapest(
    costs: Mapping[ModelRef, int | None], dear: Totals, least: Decimal
) -> tuple[ModelRef, int] | None:
    """Return what takes the least for the same tokens, if it saves more than this share."""
    limit = (1 - least) * dear.cost_nano_usd
    known = [(ref, cost) for ref, cost in costs.items() if cost is not None and cost < limit]
    return None if dear.unpriced else min(known, key=lambda one: one[1], default=None)


def _finding(dear: Totals, ref: ModelRef, cost: int, other: Totals | None = None) -> Finding:
    """Write the finding: evidence where the other model was asked often, else a hypothesis."""
    task, provider, model = dear.key
    saved = dear.cost_nano_usd - cost
    evidence: dict[str, int | float | str] = {
        **{"task_type": task, "model": f"{provider}:{model}", "n": dear.verdicts},
        **{"input_tokens": dear.input_tokens, "output_tokens": dear.output_tokens},
        **{"cost_nano_usd": dear.cost_nano_usd, "success_rate": round(dear.success_rate or 0, 4)},
        **{"other_model": str(ref), "other_nano_usd": cost},
    }
    text = (
        f"{task} on {model} cost {dollars(dear.cost_nano_usd)} in 30 days, for {dear.ok:,} answers "
        f"of {dear.output_tokens // max(1, dear.ok)} tokens; {ref.model} would take {dollars(cost)} "
        "for the same tokens"
    )
    if other is None:
        action = (
            f"Whether {ref.model} does it as well is not known. Try it on a part of the traffic: put "
            f"{ref} first for {task} in the fleet.toml of one machine, set FLEET_ENVIRONMENT=trial "
            "there, and after 100 calls compare `costs --by task,model,environment`."
        )
        return Finding("try_cheaper", "hypothesis", saved, f"{text}.", action, evidence)
    text += (
        f" and does it as well: {percent(other.success_rate)} of {other.verdicts:,} accepted, "
        f"against {percent(dear.success_rate)} of {dear.verdicts:,}."
    )
    action = (
        f"Put {ref} first for {task} in fleet.toml, for a part of the traffic to begin with: "
        "it may have had the easier requests so far."
    )
    rate = round(other.success_rate or 0, 4)
    evidence |= {"other_n": other.verdicts, "other_success_rate": rate}
    return Finding("cheaper_model", "evidence", saved, text, action, evidence)
