"""The arithmetic of what a choice of patterns and chains costs, and whether splitting pays.

What a request costs is the `estimate` of a pattern's manifest (typical sizes, not measurements) at
genai-prices' list prices. Beside it stands one model that does the same work: it reads the request
with its sources and writes the answer (`baseline`). Amounts are US dollars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scaffold.catalog import prices as models
from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.feature import Feature
from scaffold.catalog.manifest import TIERS, Baseline, Estimate, Tier, Tokens

REQUESTS = 1000
DAYS = 30
FEW_CALLS = 1000
"""Calls a day under which one good model is enough (the rule every pattern's manifest states)."""
ONE_MODEL_TIERS: tuple[Tier, ...] = ("balanced", "expensive")
ONE_MODEL = "one model"
Chains = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Load:
    """What a team sends: requests a day, and tokens of a typical request and answer.

    A request's tokens are all that one model would read for it, its document included.
    """

    calls_per_day: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve a load: its models and US dollars a month; None where one is unpriced.

    `same_work`: one model that does the same work, by tier. `comparable`: that is what the load
    describes, and not a question to sources that the pattern finds by itself.
    `too_long`: the models whose context window a request does not fit.
    """

    name: str
    models: tuple[str, ...]
    usd_per_month: Decimal | None
    when_not: str = ""
    same_work: "Mapping[str, Option]" = field(default_factory=dict[str, Any])
    comparable: bool = True
    too_long: tuple[str, ...] = ()
    source_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a mix: the pattern it takes, of how many requests (percent), and of which size."""

    name: str
    percent: int
    input_tokens: int
    output_tokens: int
    source_tokens: int = 0
    sized: bool = True

    @property
    def size(self) -> str:
        sources = f" and {self.source_tokens:,} of sources" if self.source_tokens else ""
        return f"{self.input_tokens:,} in{sources}, {self.output_tokens:,} out"


def mix(catalogue: Catalogue, answers: Mapping[str, Any]) -> list[Share]:
    """The requests that an estimate assumes: each takes one of the chosen patterns."""
    patterns = _patterns(catalogue, answers)
    weights = sum(pattern.weight for pattern in patterns)
    shares: list[Share] = []
    upto = seen = 0
    for pattern in patterns:
        # Cut from running totals, so that the whole percents add up to 100.
        seen += pattern.weight
        percent = round(100 * seen / weights) - upto
        upto += percent
        usual = _usual(catalogue, pattern)
        name = ONE_MODEL if pattern.kind == "core" else pattern.name
        sizes = (usual.input_tokens, usual.output_tokens, usual.source_tokens)
        # An older template does not say of which size its estimate is.
        sized = pattern.baseline is not None or pattern.kind == "core"
        shares.append(Share(name, percent, *sizes, sized=sized))
    return shares


def per_1000_requests(catalogue: Catalogue, answers: Mapping[str, Any]) -> Decimal | None:
    """US dollars per 1,000 requests of the `mix`; None if unpriced.

    The first model of each chain answers.
    """
    chains = catalogue.default_chains(answers)
    total = Decimal(0)
    for share, pattern in zip(mix(catalogue, answers), _patterns(catalogue, answers), strict=True):
        usd = per_1000_of(catalogue, pattern, chains)
        if usd is None:
            return None
        total += usd * share.percent / 100
    return total


def estimate(catalogue: Catalogue, answers: Mapping[str, Any]) -> str:
    """What 1,000 requests cost, with the mix that is assumed, in one line."""
    usd = per_1000_requests(catalogue, answers)
    mixed = mix_in_words(mix(catalogue, answers))
    if usd is None:
        return f"About ? per {mixed} (a model without a list price)."
    return f"About ${usd:.2f} per {mixed}."


def mix_in_words(shares: Sequence[Share]) -> str:
    """A mix as text: `1,000 requests of 900 tokens in, 350 out: 100 % router`."""
    if not all(share.sized for share in shares):
        parts = ", ".join(f"{share.percent} % {share.name}" for share in shares)
        return f"1,000 requests of the usual size: {parts}"
    if len({share.size for share in shares}) == 1 and not shares[0].source_tokens:
        size = f"{shares[0].input_tokens:,} tokens in, {shares[0].output_tokens:,} out"
        parts = ", ".join(f"{share.percent} % {share.name}" for share in shares)
        return f"1,000 requests of {size}: {parts}"
    parts = ", ".join(f"{share.percent} % {share.name} ({share.size})" for share in shares)
    mean_in = sum(share.percent * share.input_tokens for share in shares) // 100
    mean_out = sum(share.percent * share.output_tokens for share in shares) // 100
    return f"1,000 requests of {mean_in:,} tokens in, {mean_out:,} out on average: {parts}"


def options(catalogue: Catalogue, load: Load, providers: list[str]) -> list[Option]:
    """One good model, the best model, and each pattern by itself, at this load."""
    names = {"balanced": "one good model", "expensive": "the best model for all"}
    found = [_one_model(catalogue, load, names[tier], tier, providers) for tier in ONE_MODEL_TIERS]
    for pattern in catalogue.of("pattern"):
        if pattern.estimate:
            found.append(_split(catalogue, load, pattern, providers))
    return found


def per_1000_of(catalogue: Catalogue, pattern: Feature, chains: Chains) -> Decimal | None:
    """US dollars per 1,000 requests of the usual size that take a pattern; None if unpriced."""
    usual = _usual(catalogue, pattern)
    load = Load(0, usual.input_tokens, usual.output_tokens)
    usd = _per_request(catalogue, chains, pattern, load)
    return None if usd is None else usd * REQUESTS


def pays_from(
    catalogue: Catalogue, pattern: Feature, chains: Chains, judge: str, writer: str
) -> int | None:
    """The tokens of an answer from which on a pattern that judges costs less than one model.

    `judge` is the model that marks, `writer` the one that would write outright. None: it never
    pays, or a model is unpriced. With the usual request T, prices c (draft), j (judge) and w
    (writer), per token in and out, F and M the fixed tokens that a judge reads and writes, and p
    the share that is rewritten, an answer of O tokens saves

        T·w_in + O·w_out - [T·c_in + O·c_out] - [(T + O + F)·j_in + M·j_out]
            - p·[(T + O + F)·w_in + O·w_out]

    which is a straight line in O: it pays from O = -saving(0) / slope on, where
    slope = (1 - p)·w_out - p·w_in - c_out - j_in, if that is above 0.
    """
    asked = {**chains, **({pattern.judged_by: [judge]} if pattern.judged_by else {})}
    usual = _usual(catalogue, pattern)
    at_none, at_many = (
        _saving(catalogue, asked, pattern, Load(0, usual.input_tokens, tokens), writer)
        for tokens in (0, REQUESTS)
    )
    if at_none is None or at_many is None:
        return None
    slope = (at_many - at_none) / REQUESTS
    if slope <= 0:
        return None
    return max(0, int(-at_none / slope) + 1)


def judges(
    catalogue: Catalogue, pattern: Feature, answers: Mapping[str, Any]
) -> list[tuple[str, int | None]]:
    """Each model that might judge, the chosen one first, with the tokens from which on it pays."""
    if pattern.judged_by is None:
        return []
    chains, writer = catalogue.default_chains(answers), _writer(catalogue, answers)
    offered = [catalogue.default_models(tier, _providers(answers)) for tier in reversed(TIERS)]
    models_ = [chains[pattern.judged_by][0], *(refs[0] for refs in offered if refs)]
    return [
        (judge, pays_from(catalogue, pattern, chains, judge, writer))
        for judge in dict.fromkeys(models_)
    ]


def judges_in_words(
    catalogue: Catalogue, pattern: Feature, answers: Mapping[str, Any]
) -> str | None:
    """From which length of text on which judge pays; None where the pattern has none."""
    found = judges(catalogue, pattern, answers)
    if not found:
        return None
    if all(tokens is None for _, tokens in found):
        return f"From which length on {pattern.name} pays is unknown: a model has no list price."
    told = "; ".join(f"{judge} {_from(tokens)}" for judge, tokens in found)
    writer = _writer(catalogue, answers)
    return (
        f"{pattern.name} costs less than {writer} writing outright by who scores "
        f"(chain {pattern.judged_by}): {told}."
    )


def _from(tokens: int | None) -> str:
    if tokens is None:
        return "at no length"
    return f"from texts of {tokens:,} tokens on" if tokens else "at any length"


def _saving(
    catalogue: Catalogue, chains: Chains, pattern: Feature, load: Load, writer: str
) -> Decimal | None:
    one = models.usd(
        catalogue, writer, Decimal(load.input_tokens), Decimal(load.output_tokens), in_parts=True
    )
    split = _per_request(catalogue, chains, pattern, load)
    return None if one is None or split is None else one - split


def _one_model(
    catalogue: Catalogue, load: Load, name: str, tier: Tier, providers: list[str]
) -> Option:
    ref = catalogue.default_models(tier, providers)[0]
    usd = models.usd(catalogue, ref, Decimal(load.input_tokens), Decimal(load.output_tokens))
    long = _too_long(catalogue, ref, load.input_tokens + load.output_tokens)
    return Option(name, (ref,), _monthly(load, None if long else usd), too_long=long)


def _split(catalogue: Catalogue, load: Load, pattern: Feature, providers: list[str]) -> Option:
    answers = {"providers": providers, "patterns": [pattern.name], "agents": []}
    chains = catalogue.default_chains(answers)
    sources = pattern.baseline.source_tokens if pattern.baseline else 0
    work = Load(load.calls_per_day, load.input_tokens + sources, load.output_tokens)
    same = {tier: _one_model(catalogue, work, tier, tier, providers) for tier in ONE_MODEL_TIERS}
    usual = _usual(catalogue, pattern)
    long = tuple(
        ref
        for part in pattern.estimate
        if not part.in_parts
        for ref in _too_long(
            catalogue,
            chains[part.chain][0],
            _tokens(part.input_tokens, load, usual) + _tokens(part.output_tokens, load, usual),
        )
    )
    return Option(
        pattern.name,
        tuple(dict.fromkeys(chains[part.chain][0] for part in pattern.estimate)),
        None if long else _monthly(load, _per_request(catalogue, chains, pattern, load)),
        pattern.when_not,
        same,
        comparable=not sources,
        too_long=tuple(dict.fromkeys(long)),
        source_tokens=sources,
    )


def _monthly(load: Load, usd: Decimal | None) -> Decimal | None:
    return None if usd is None else usd * load.calls_per_day * DAYS


def _too_long(catalogue: Catalogue, ref: str, tokens: Decimal | int) -> tuple[str, ...]:
    window = models.facts(catalogue, ref).context_window
    return (ref,) if window and tokens > window else ()


def _per_request(
    catalogue: Catalogue, chains: Chains, pattern: Feature, load: Load
) -> Decimal | None:
    """US dollars of one request of a load that takes a pattern; None if unpriced."""
    usual = _usual(catalogue, pattern)
    prices = [_price(catalogue, chains, part, load, usual) for part in pattern.estimate]
    known = [price for price in prices if price is not None]
    return sum(known, Decimal(0)) if len(known) == len(prices) else None


def _price(
    catalogue: Catalogue, chains: Chains, part: Estimate, load: Load, usual: Baseline
) -> Decimal | None:
    """US dollars that one part of one request costs, weighed with its share."""
    asked = _tokens(part.input_tokens, load, usual)
    answered = _tokens(part.output_tokens, load, usual)
    ref = chains[part.chain][0]
    usd = models.usd(catalogue, ref, asked, answered, in_parts=part.in_parts)
    return None if usd is None else usd * Decimal(str(part.share))


def _tokens(tokens: Tokens, load: Load, usual: Baseline) -> Decimal:
    """A part's tokens at a load: only what grows with it does."""
    read = Decimal(tokens.input) * load.input_tokens / usual.input_tokens
    return tokens.fixed + read + Decimal(tokens.output) * load.output_tokens / usual.output_tokens


def _usual(catalogue: Catalogue, pattern: Feature) -> Baseline:
    """The request that a pattern's estimate is for; older manifests name none but the core's."""
    if pattern.baseline:
        return pattern.baseline
    part = catalogue.core.estimate[0]
    return Baseline(input_tokens=part.input_tokens.input, output_tokens=part.output_tokens.output)


def _patterns(catalogue: Catalogue, answers: Mapping[str, Any]) -> list[Feature]:
    """The chosen patterns that say what they cost; without one the core, which is one model."""
    chosen = [f for f in catalogue.enabled(answers) if f.kind == "pattern" and f.estimate]
    return chosen or [catalogue.core]


def _writer(catalogue: Catalogue, answers: Mapping[str, Any]) -> str:
    """The model that would write outright: the first of the expensive chain."""
    refs = catalogue.default_chains(answers).get("expensive")
    return (refs or catalogue.default_models("expensive", _providers(answers)))[0]


def _providers(answers: Mapping[str, Any]) -> list[str]:
    return list(answers.get("providers") or [])
