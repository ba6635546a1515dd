"""The ledger beside a provider's export: per day, model and kind of token, with what explains it."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal

from .export_formats import KINDS
from .exports import Billed, Export, plain_name
from .location import Location
from .queries import Totals, sums, total

SLACK_USD = Decimal("1e-9")
"""What rounding each call to a whole nano-dollar may add up to, per call."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure both sides have: a count of tokens or requests, or US dollars (kind "usd")."""

    day: int
    model: str
    kind: str
    provider: Decimal
    ledger: Decimal
    why: str

    @property
    def difference(self) -> Decimal:
        return self.provider - self.ledger


def merge(exports: Iterable[Export]) -> dict[tuple[int, str], Billed]:
    """Add up several exports: pages of one, or the usage and the costs of the same days."""
    merged: dict[tuple[int, str], Billed] = {}
    for export in exports:
        for key, billed in export.billed.items():
            into = merged.setdefault(key, Billed())
            for kind, count in billed.tokens.items():
                into.tokens[kind] = into.tokens.get(kind, 0) + count
            if billed.usd is not None:
                into.usd = (into.usd or Decimal(0)) + billed.usd
            into.slack += billed.slack
    return merged


def reconcile(location: Location, providers: Set[str], exports: Sequence[Export]) -> list[Line]:
    """Compare every figure of the exports' days, by day and model: of these providers, or all.

    A model "" is an export that does not tell models apart: it is held against the day's total.
    Raises LedgerError.
    """
    days, billed = {day for export in exports for day in export.days}, merge(exports)
    if not days:
        return []
    booked = _ledger_totals(location, providers, days, grouped=any(model for _, model in billed))
    covered = {(day, kind) for export in exports for day in export.days for kind in export.kinds}
    return [
        line
        for day, model in sorted({*billed, *booked})
        for line in _lines(
            day,
            model,
            billed.get((day, model)),
            booked.get((day, model)),
            [kind for kind in KINDS if (day, kind) in covered],
            (day, "usd") in covered,
        )
    ]


def _ledger_totals(
    location: Location, providers: Set[str], days: set[int], *, grouped: bool
) -> dict[tuple[int, str], Totals]:
    rows = sums(location, ("day", "provider", "request_model"), min(days), max(days) + 1)
    found: dict[tuple[int, str], list[Totals]] = {}
    for row in rows:
        day, by, model = row.key
        if day in days and row.attempts and (by in providers or not providers):
            found.setdefault((day, plain_name(model) if grouped else ""), []).append(row)
    return {key: total(group) for key, group in found.items()}


def _lines(
    day: int, model: str, known: Billed | None, own: Totals | None, kinds: list[str], costed: bool
) -> Iterator[Line]:
    billed, counts = known.tokens if known else {}, _counts(own)
    pairs = {kind: (billed.get(kind, 0), counts[kind]) for kind in kinds}
    for kind, (theirs, ours) in pairs.items():
        if theirs or ours:
            why = _why_count(kind, theirs, ours, known, own)
            yield Line(day, model, kind, Decimal(theirs), Decimal(ours), why)
    if costed:
        same = bool(pairs) and all(a == b for kind, (a, b) in pairs.items() if kind != "requests")
        theirs_usd = (known.usd if known else None) or Decimal(0)
        ours_usd = Decimal(own.cost_nano_usd).scaleb(-9) if own else Decimal(0)
        why = _why_usd(theirs_usd, ours_usd, known, own, same)
        yield Line(day, model, "usd", theirs_usd, ours_usd, why)


def _why_count(kind: str, theirs: int, ours: int, known: Billed | None, own: Totals | None) -> str:
    """Explain a difference in tokens or requests; empty where there is none."""
    if theirs == ours:
        return ""
    if own is None:
        return "other traffic on the key"
    if known is None or theirs < ours:
        return "rows missing in the export"
    if kind == "requests" and theirs <= own.attempts:
        return "failed or aborted here, counted there"
    unmeasured = own.attempts - own.priced - own.unpriced
    if unmeasured and known.tokens.get("requests", own.attempts) <= own.attempts:
        return f"{unmeasured:,} attempts reported no usage here"
    return "other traffic on the key, or rows missing in the ledger"


def _why_usd(
    theirs: Decimal, ours: Decimal, known: Billed | None, own: Totals | None, same_tokens: bool
) -> str:
    """Explain a difference in dollars; empty where there is none."""
    if theirs == ours:
        return ""
    if own is None:
        return "other traffic on the key"
    if known is None or known.usd is None:
        return "rows missing in the export"
    if abs(theirs - ours) <= known.slack + SLACK_USD * own.attempts:
        return "rounding"
    if own.unpriced:
        return (
            f"price: {own.unpriced:,} attempts are unpriced: `costs reprice` (extra ledger_tools)"
        )
    if same_tokens:
        return (
            f"price: {theirs / ours:.4f} of the ledger's" if ours else "price: free in the ledger"
        )
    return "price, or other tokens: reconcile a usage export of these days with it"


def _counts(own: Totals | None) -> dict[str, int]:
    """Count in an export's terms: cached tokens are apart from the other input."""
    if own is None:
        return dict.fromkeys(KINDS, 0)
    read, write = own.cache_read_input_tokens, own.cache_creation_input_tokens
    return {
        "requests": own.ok + own.rejected,
        "input": own.input_tokens - read - write,
        "cached": read,
        "cache_write": write,
        "output": own.output_tokens,
    }
