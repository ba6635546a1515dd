"""The alternatives to serve a load: one model, or a pattern of several, each with its price.

Each pattern stands beside one model that does the same work: it reads the request with its sources
and writes the answer. Amounts are US dollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.estimate import Load, price_request, scale_part, usual_request
from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import ChainModels, Selection
from scaffold.catalog.manifest import Tier
from scaffold.catalog.prices import find_model, price_call

DAYS = 30
ONE_GOOD_MODEL = "one good model"
BEST_MODEL = "the best model for all"
_SINGLE_MODELS: Mapping[Tier, str] = {"balanced": ONE_GOOD_MODEL, "expensive": BEST_MODEL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One way to serve a load: its models and US dollars a month; None where one is unpriced.

    Attributes:
        same_work: One model that does the same work, by tier; empty for a single model.
        comparable: Whether that is the work which the load describes, and not a question to
            sources that the pattern finds itself.
        too_long: The models whose context window a request does not fit.
        source_tokens: The tokens of those sources.
    """

    name: str
    models: tuple[str, ...]
    usd_per_month: Decimal | None
    when_not: str = ""
    same_work: "Mapping[str, Alternative]" = field(default_factory=dict[str, "Alternative"])
    comparable: bool = True
    too_long: tuple[str, ...] = ()
    source_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """The ways to serve a load: single models, the cheaper one first, and patterns."""

    singles: tuple[Alternative, ...]
    patterns: tuple[Alternative, ...]

    def all(self) -> tuple[Alternative, ...]:
        """Return every alternative, in listing order."""
        return (*self.singles, *self.patterns)


def list_alternatives(catalog: Catalog, load: Load, providers: list[str]) -> Alternatives:
    """Return one good model, the best model, and each pattern by itself, at this load."""
    patterns = [pattern for pattern in catalog.of("pattern") if pattern.estimate]
    return Alternatives(
        singles=tuple(
            _price_single_model(catalog, load, tier, providers, name=name)
            for tier, name in _SINGLE_MODELS.items()
        ),
        patterns=tuple(_price_pattern(catalog, load, pattern, providers) for pattern in patterns),
    )


def _price_single_model(
    catalog: Catalog, load: Load, tier: Tier, providers: list[str], *, name: str
) -> Alternative:
    ref = catalog.default_models(tier, providers)[0]
    read, written = Decimal(load.input_tokens), Decimal(load.output_tokens)
    long = _list_too_long(catalog, ref, read + written)
    # A price for a request that no one can send would win every comparison of prices.
    usd = None if long else price_call(catalog, ref, read, written)
    return Alternative(
        name=name, models=(ref,), usd_per_month=_price_month(load, usd), too_long=long
    )


def _price_pattern(
    catalog: Catalog, load: Load, pattern: Feature, providers: list[str]
) -> Alternative:
    chosen = {"provider": providers, "pattern": [pattern.name]}
    chains = catalog.default_chains(Selection(features=chosen))
    sources = pattern.baseline.source_tokens if pattern.baseline else 0
    work = Load(load.calls_per_day, load.input_tokens + sources, load.output_tokens)
    long = _list_parts_too_long(catalog, load, pattern, chains)
    usd = None if long else price_request(catalog, chains, pattern, load)
    return Alternative(
        name=pattern.name,
        models=tuple(dict.fromkeys(chains[part.chain][0] for part in pattern.estimate)),
        usd_per_month=_price_month(load, usd),
        when_not=pattern.when_not,
        same_work={
            tier: _price_single_model(catalog, work, tier, providers, name=tier)
            for tier in _SINGLE_MODELS
        },
        comparable=not sources,
        too_long=long,
        source_tokens=sources,
    )


def _list_parts_too_long(
    catalog: Catalog, load: Load, pattern: Feature, chains: ChainModels
) -> tuple[str, ...]:
    """Return the models that a part of a pattern's work does not fit, each once."""
    usual = usual_request(catalog, pattern)
    refs = [
        ref
        for part in pattern.estimate
        if not part.in_parts
        for ref in _list_too_long(
            catalog, chains[part.chain][0], sum(scale_part(part, load, usual), Decimal(0))
        )
    ]
    return tuple(dict.fromkeys(refs))


def _list_too_long(catalog: Catalog, ref: str, tokens: Decimal) -> tuple[str, ...]:
    window = find_model(catalog, ref).context_window
    return (ref,) if window and tokens > window else ()


def _price_month(load: Load, usd: Decimal | None) -> Decimal | None:
    return None if usd is None else usd * load.calls_per_day * DAYS
