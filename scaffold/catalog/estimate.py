"""What requests cost: the `estimate` of a pattern's manifest at genai-prices' list prices.

The sizes are typical ones, not measurements. Amounts are US dollars.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.feature import CORE, Feature
from scaffold.catalog.kinds import ChainModels, Selection
from scaffold.catalog.manifest import Baseline, Estimate, Tokens
from scaffold.catalog.prices import price_call

REQUESTS = 1000
"""Estimates are for so many requests."""
PLAIN_ANSWER = "one model"


@dataclass(frozen=True, slots=True)
class Load:
    """What a team sends: requests a day, and tokens of a typical request and answer.

    A request's tokens are all that one model would read for it, its document included.
    """

    calls_per_day: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a mix: the pattern it takes, of how many requests (percent), and of which size.

    `sized`: whether the manifest says of which size its estimate is; an older one does not.
    """

    name: str
    percent: int
    input_tokens: int
    output_tokens: int
    source_tokens: int = 0
    sized: bool = True

    @property
    def size(self) -> str:
        """The tokens of a request and its answer, in words."""
        sources = f" and {self.source_tokens:,} of sources" if self.source_tokens else ""
        return f"{self.input_tokens:,} in{sources}, {self.output_tokens:,} out"


def describe_estimate(catalog: Catalog, selection: Selection) -> str:
    """Return what 1,000 requests cost, with the mix that is assumed, in one line."""
    usd = price_mix(catalog, selection)
    mix = describe_mix(list_mix(catalog, selection))
    if usd is None:
        return f"About ? per {mix} (a model without a list price)."
    return f"About ${usd:.2f} per {mix}."


def list_mix(catalog: Catalog, selection: Selection) -> list[Share]:
    """Return the requests that an estimate assumes: each takes one of the chosen patterns."""
    patterns = _list_patterns(catalog, selection)
    all_weights = sum(pattern.weight for pattern in patterns)
    shares: list[Share] = []
    percent_before = weight_before = 0
    for pattern in patterns:
        # Cut from running totals, so that the whole percents add up to 100.
        weight_before += pattern.weight
        percent = round(100 * weight_before / all_weights) - percent_before
        percent_before += percent
        usual = usual_request(catalog, pattern)
        shares.append(
            Share(
                name=PLAIN_ANSWER if pattern.kind == CORE else pattern.name,
                percent=percent,
                input_tokens=usual.input_tokens,
                output_tokens=usual.output_tokens,
                source_tokens=usual.source_tokens,
                sized=pattern.baseline is not None or pattern.kind == CORE,
            )
        )
    return shares


def describe_mix(shares: Sequence[Share]) -> str:
    """Return a mix as text: `1,000 requests of 900 tokens in, 350 out: 100 % router`."""
    parts = ", ".join(f"{share.percent} % {share.name}" for share in shares)
    if not all(share.sized for share in shares):
        return f"{REQUESTS:,} requests of the usual size: {parts}"
    if len({share.size for share in shares}) == 1 and not shares[0].source_tokens:
        size = f"{shares[0].input_tokens:,} tokens in, {shares[0].output_tokens:,} out"
        return f"{REQUESTS:,} requests of {size}: {parts}"
    parts = ", ".join(f"{share.percent} % {share.name} ({share.size})" for share in shares)
    mean_in = sum(share.percent * share.input_tokens for share in shares) // 100
    mean_out = sum(share.percent * share.output_tokens for share in shares) // 100
    return f"{REQUESTS:,} requests of {mean_in:,} tokens in, {mean_out:,} out on average: {parts}"


def price_mix(catalog: Catalog, selection: Selection) -> Decimal | None:
    """Return US dollars per 1,000 requests of the mix; None if a model is unpriced.

    The first model of each chain answers.
    """
    chains = catalog.default_chains(selection)
    patterns = _list_patterns(catalog, selection)
    total = Decimal(0)
    for share, pattern in zip(list_mix(catalog, selection), patterns, strict=True):
        usd = price_pattern(catalog, pattern, chains)
        if usd is None:
            return None
        total += usd * share.percent / 100
    return total


def price_pattern(catalog: Catalog, pattern: Feature, chains: ChainModels) -> Decimal | None:
    """Return US dollars per 1,000 usual requests that take a pattern; None if unpriced."""
    usual = usual_request(catalog, pattern)
    load = Load(0, usual.input_tokens, usual.output_tokens)
    usd = price_request(catalog, chains, pattern, load)
    return None if usd is None else usd * REQUESTS


def price_request(
    catalog: Catalog, chains: ChainModels, pattern: Feature, load: Load
) -> Decimal | None:
    """Return US dollars of one request of a load that takes a pattern; None if unpriced."""
    usual = usual_request(catalog, pattern)
    total = Decimal(0)
    for part in pattern.estimate:
        read, written = scale_part(part, load, usual)
        ref = chains[part.chain][0]
        usd = price_call(catalog, ref, read, written, in_parts=part.in_parts)
        if usd is None:
            return None
        total += usd * Decimal(str(part.share))
    return total


def scale_part(part: Estimate, load: Load, usual: Baseline) -> tuple[Decimal, Decimal]:
    """Return the tokens in and out of one part of an estimate, at a load."""
    return _scale(part.input_tokens, load, usual), _scale(part.output_tokens, load, usual)


def _scale(tokens: Tokens, load: Load, usual: Baseline) -> Decimal:
    """Return tokens at a load: only those that grow with a size are scaled by it."""
    read = Decimal(tokens.input) * load.input_tokens / usual.input_tokens
    return tokens.fixed + read + Decimal(tokens.output) * load.output_tokens / usual.output_tokens


def usual_request(catalog: Catalog, pattern: Feature) -> Baseline:
    """Return the request that a pattern's estimate is for: its own, or the core's."""
    if pattern.baseline:
        return pattern.baseline
    part = catalog.core.estimate[0]
    return Baseline(input_tokens=part.input_tokens.input, output_tokens=part.output_tokens.output)


def _list_patterns(catalog: Catalog, selection: Selection) -> list[Feature]:
    """Return the chosen patterns that say what they cost; without one the core: one model."""
    on = catalog.list_enabled(selection)
    return [f for f in on if f.kind == "pattern" and f.estimate] or [catalog.core]
