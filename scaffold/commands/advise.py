"""`scaffold advise`: whether a team should split models at all, and what it would save."""

import argparse
import json
import sys
import textwrap
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.catalog.advice import Advice
    from scaffold.catalog.catalog import Catalogue
    from scaffold.catalog.economics import Load, Option

HELP = "Say whether to split models at all, with the figures."
AT_LIST_PRICE = (
    "US dollars a month at list price and typical sizes, not measured on your traffic: a saving is",
    "only one if the answers stay good. Try it on your own requests before you split.",
)
_MOST = 10**12
"""Every figure is below this: what is larger is a slip, and no report could show it."""
TODAY = {"balanced": "one good model", "best": "the best model for all"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls-per-day", type=_count, metavar="N", help="requests a day")
    parser.add_argument(
        "--input-tokens",
        type=_count,
        metavar="N",
        default=900,
        help="of a typical request, its document included (900)",
    )
    parser.add_argument(
        "--output-tokens", type=_count, metavar="N", default=350, help="of a typical answer (350)"
    )
    parser.add_argument("--providers", metavar="A,B", help="the providers you would use")
    parser.add_argument("--today", choices=TODAY, default="balanced", help="what answers now")
    parser.add_argument(
        "--hours", type=_amount, metavar="N", default=Decimal(6), help="upkeep, hours a month (6)"
    )
    parser.add_argument(
        "--usd-per-hour", type=_amount, metavar="N", default=Decimal(100), help="of that (100)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Exit status 0 with either verdict."""
    from scaffold.catalog.advice import Upkeep, advise
    from scaffold.catalog.catalog import load
    from scaffold.catalog.economics import Load
    from scaffold.catalog.economics import options as ways
    from scaffold.errors import UsageError

    calls = options.calls_per_day
    if calls is None:
        calls = _ask() if sys.stdin.isatty() and not options.json else None
    if calls is None:
        raise UsageError("advise needs --calls-per-day N; see `scaffold advise --help`.")
    catalogue = load()
    wanted = Load(calls, options.input_tokens, options.output_tokens)
    found = ways(catalogue, wanted, _providers(options.providers))
    upkeep = Upkeep(options.hours, options.usd_per_hour)
    told = advise(wanted, found, upkeep, TODAY[str(options.today)])
    print(_as_json(told, found, wanted) if options.json else _as_text(told, found, catalogue))
    return 0


def _providers(text: str | None) -> list[str]:
    from scaffold.answers.validate import of_choices
    from scaffold.catalog.catalog import default_choice, load
    from scaffold.catalog.feature import KINDS
    from scaffold.errors import AnswersError

    catalogue = load()
    if text is None:
        return list(default_choice(catalogue, KINDS["provider"]))
    names = [name.strip() for name in text.split(",") if name.strip()]
    if problems := of_choices(catalogue, {"providers": names}):
        raise AnswersError(problems)
    return names


def _ask() -> int:
    import questionary

    def valid(text: str) -> bool | str:
        try:
            return _count(text.strip()) >= 0
        except argparse.ArgumentTypeError as error:
            return f"Write another number: {error}."

    return _count(questionary.text("How many requests a day?", validate=valid).unsafe_ask().strip())


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a whole number of 0 or more")
    digits = text.lstrip("0")
    if len(digits) >= len(str(_MOST)):
        raise argparse.ArgumentTypeError(f"it is more than {_MOST - 1:,}")
    return int(digits or "0")


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a number of 0 or more")
    if amount >= _MOST:
        raise argparse.ArgumentTypeError(f"it is more than {_MOST - 1:,}")
    return amount


def _as_text(advice: "Advice", options: "list[Option]", catalogue: "Catalogue") -> str:
    from scaffold.catalog.advice import SPLIT

    head = "Split: " if advice.verdict == SPLIT else "Stay with one model: "
    lines = [head + "; ".join(advice.reasons) + ".", ""]
    for option in options:
        lines += _lines(option)
    if advice.break_even_calls:
        even = f"The saving pays for the upkeep from {advice.break_even_calls:,} calls a day on."
        lines += ["", even]
    notes = _notes(advice, options, catalogue)
    return "\n".join([*lines, "", *notes, *AT_LIST_PRICE])


def _lines(option: "Option") -> list[str]:
    """An option's price and models, and below a pattern's, one model that does the same work."""
    lines = [f"  {option.name:<20}{_shown(option):>14}  {', '.join(option.models)}"]
    if option.same_work:
        same = ", ".join(f"{tier} {_shown(one)}" for tier, one in option.same_work.items())
        work = "the same work"
        if option.source_tokens:
            work = f"question and {option.source_tokens:,} tokens of sources, so not compared"
        lines.append(f"      one model for {work}: {same}")
    return lines


def _shown(option: "Option") -> str:
    if option.too_long:
        return "too long"
    return "unpriced" if option.usd_per_month is None else f"${option.usd_per_month:,.2f}"


def _notes(advice: "Advice", options: "list[Option]", catalogue: "Catalogue") -> list[str]:
    """From which length on a pattern that judges pays, and what is claimed of the best one."""
    from scaffold.catalog.economics import judges_in_words

    notes: list[str] = []
    providers = list(dict.fromkeys(ref.partition(":")[0] for o in options for ref in o.models))
    for pattern in catalogue.of("pattern"):
        answers = {"providers": providers, "patterns": [pattern.name], "agents": []}
        notes.append(judges_in_words(catalogue, pattern, answers) or "")
        if advice.best and advice.best.name == pattern.name and pattern.claim:
            notes.append(f"Claimed: {pattern.claim.says} Measured: {pattern.claim.measured}")
    return [line for note in notes if note for line in [*textwrap.wrap(note, 96), ""]]


def _as_json(advice: "Advice", options: "list[Option]", load: "Load") -> str:
    def plain(amount: Decimal | None) -> str | None:
        return None if amount is None else f"{amount:f}"

    def row(option: "Option") -> dict[str, object]:
        same = {tier: plain(one.usd_per_month) for tier, one in option.same_work.items()}
        return {
            "name": option.name,
            "models": option.models,
            "usd_per_month": plain(option.usd_per_month),
            "one_model_usd_per_month": same or None,
            "input_tokens": load.input_tokens + option.source_tokens,
            "output_tokens": load.output_tokens,
            "comparable": option.comparable,
            "too_long_for": option.too_long,
        }

    return json.dumps(
        {
            "verdict": advice.verdict,
            "reasons": advice.reasons,
            "baseline": advice.baseline.name,
            "pattern": advice.best.name if advice.best else None,
            "saving_usd_per_month": plain(advice.saving_usd),
            "break_even_calls_per_day": advice.break_even_calls,
            "options": [row(option) for option in options],
        },
        ensure_ascii=False,
    )
