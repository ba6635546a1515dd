"""`scaffold advise`: whether a team should split models at all, and what it would save."""

import argparse
import json
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.advice import Advice
    from scaffold.economics import Option

HELP = "Say whether to split models at all, with the figures."
TODAY = {"balanced": "one good model", "best": "the best model for all"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls-per-day", type=_count, metavar="N", help="requests a day")
    parser.add_argument(
        "--input-tokens", type=_count, metavar="N", default=900, help="of a typical request (900)"
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
    from scaffold.advice import Upkeep, advise
    from scaffold.catalogue import load
    from scaffold.economics import Load
    from scaffold.economics import options as ways
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
    print(_as_json(told, found) if options.json else _as_text(told, found))
    return 0


def _providers(text: str | None) -> list[str]:
    from scaffold.catalogue import load
    from scaffold.choices import default_choice
    from scaffold.errors import AnswersError
    from scaffold.feature import KINDS
    from scaffold.problems.choices import of_choices

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
        return text.strip().isdigit() or "Write a whole number."

    return int(questionary.text("How many requests a day?", validate=valid).unsafe_ask())


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of 0 or more")
    return int(text)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of 0 or more")
    return amount


def _as_text(advice: "Advice", options: "list[Option]") -> str:
    from scaffold.advice import SPLIT

    head = "Split: " if advice.verdict == SPLIT else "Stay with one model: "
    lines = [head + "; ".join(advice.reasons) + ".", ""]
    lines += [
        f"  {option.name:<24}{_usd(option.usd_per_month):>14}  {', '.join(option.models)}"
        for option in options
    ]
    if advice.break_even_calls:
        lines += [
            "",
            f"The saving pays for the upkeep from {advice.break_even_calls:,} calls a day on.",
        ]
    lines += [
        "",
        "US dollars a month at list price and typical sizes, not measured on your traffic: a saving is",
        "only one if the answers stay good. Try it on your own requests before you split.",
    ]
    return "\n".join(lines)


def _usd(amount: Decimal | None) -> str:
    return "unpriced" if amount is None else f"${amount:,.2f}"


def _as_json(advice: "Advice", options: "list[Option]") -> str:
    def plain(amount: Decimal | None) -> str | None:
        return None if amount is None else f"{amount:f}"

    return json.dumps(
        {
            "verdict": advice.verdict,
            "reasons": advice.reasons,
            "baseline": advice.baseline.name,
            "pattern": advice.best.name if advice.best else None,
            "saving_usd_per_month": plain(advice.saving_usd),
            "break_even_calls_per_day": advice.break_even_calls,
            "options": [
                {"name": o.name, "models": o.models, "usd_per_month": plain(o.usd_per_month)}
                for o in options
            ],
        },
        ensure_ascii=False,
    )
