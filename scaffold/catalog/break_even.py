"""From which length of answer on a pattern that judges its drafts costs less than one model."""

from collections.abc import Sequence
from decimal import Decimal

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.estimate import REQUESTS, Load, price_request, usual_request
from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import ChainModels, Selection
from scaffold.catalog.manifest import TIERS
from scaffold.catalog.prices import price_call


def find_break_even(
    catalog: Catalog, pattern: Feature, chains: ChainModels, *, judge: str, writer: str
) -> int | None:
    """Return the tokens of an answer from which on the pattern costs less than one model.

    `judge` is the model that scores the draft, `writer` the one that would write the answer
    outright. With the usual request of T tokens, prices c (draft), j (judge) and w (writer) per
    token in and out, F and M the fixed tokens that a judge reads and writes, and p the share that
    is rewritten, an answer of O tokens saves

        T·w_in + O·w_out - [T·c_in + O·c_out] - [(T + O + F)·j_in + M·j_out]
            - p·[(T + O + F)·w_in + O·w_out]

    which is a straight line in O: it pays from O = -saving(0) / slope on, where
    slope = (1 - p)·w_out - p·w_in - c_out - j_in, if that is above 0.

    Returns:
        The tokens, or None if it never pays or a model is unpriced.
    """
    asked = {**chains, **({pattern.judged_by: [judge]} if pattern.judged_by else {})}
    request = usual_request(catalog, pattern).input_tokens
    at_none, at_many = (
        _compute_saving(catalog, asked, pattern, Load(0, request, tokens), writer)
        for tokens in (0, REQUESTS)
    )
    if at_none is None or at_many is None:
        return None
    slope = (at_many - at_none) / REQUESTS
    if slope <= 0:
        return None
    return max(0, int(-at_none / slope) + 1)


def compare_judges(
    catalog: Catalog, pattern: Feature, selection: Selection
) -> list[tuple[str, int | None]]:
    """Return each model that might judge, the chosen one first, with its break-even tokens."""
    if pattern.judged_by is None:
        return []
    chains, writer = catalog.default_chains(selection), _find_writer(catalog, selection)
    providers = selection.names("provider")
    offered = [catalog.default_models(tier, providers) for tier in reversed(TIERS)]
    judges = [chains[pattern.judged_by][0], *(refs[0] for refs in offered if refs)]
    return [
        (judge, find_break_even(catalog, pattern, chains, judge=judge, writer=writer))
        for judge in dict.fromkeys(judges)
    ]


def describe_judges(catalog: Catalog, pattern: Feature, selection: Selection) -> str | None:
    """Say from which length of text on which judge pays; None where the pattern has none."""
    judges = compare_judges(catalog, pattern, selection)
    if not judges:
        return None
    if all(tokens is None for _, tokens in judges):
        return f"From which length on {pattern.name} pays is unknown: a model has no list price."
    writer = _find_writer(catalog, selection)
    return (
        f"{pattern.name} costs less than {writer} writing outright, depending on the model that"
        f" scores (chain {pattern.judged_by}): {_list_lengths(judges)}."
    )


def _list_lengths(judges: Sequence[tuple[str, int | None]]) -> str:
    return "; ".join(f"{judge} {_describe_length(tokens)}" for judge, tokens in judges)


def _describe_length(tokens: int | None) -> str:
    if tokens is None:
        return "at no length"
    return f"from texts of {tokens:,} tokens on" if tokens else "at any length"


def _compute_saving(
    catalog: Catalog, chains: ChainModels, pattern: Feature, load: Load, writer: str
) -> Decimal | None:
    read, written = Decimal(load.input_tokens), Decimal(load.output_tokens)
    # At the price of short prompts: another price for long ones would bend the line.
    outright = price_call(catalog, writer, read, written, in_parts=True)
    split = price_request(catalog, chains, pattern, load)
    return None if outright is None or split is None else outright - split


def _find_writer(catalog: Catalog, selection: Selection) -> str:
    """Return the model that would write outright: the first of the expensive chain."""
    refs = catalog.default_chains(selection).get("expensive")
    return (refs or catalog.default_models("expensive", selection.names("provider")))[0]
