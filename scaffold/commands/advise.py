"""`scaffold advise`: whether a team should split models at all, and what it would save."""

import argparse
import json
import sys
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from scaffold.commands import arguments
from scaffold.errors import AnswersError, ExitStatus, UsageError

if TYPE_CHECKING:
    from scaffold.catalog.catalog import Catalog

HELP = "Say whether to split models at all, with the figures."
# Every figure is below this: a larger one is a typing mistake, and no report could show it.
_LIMIT = 10**12
_TODAY = ("balanced", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    calls_per_day: int | None
    input_tokens: int
    output_tokens: int
    providers: str | None
    today: str
    hours: Decimal
    usd_per_hour: Decimal
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--calls-per-day", type=_parse_count, metavar="N", help="requests a day")
    parser.add_argument(
        "--input-tokens",
        type=_parse_count,
        metavar="N",
        default=900,
        help="of a typical request, its document included (900)",
    )
    parser.add_argument(
        "--output-tokens",
        type=_parse_count,
        metavar="N",
        default=350,
        help="of a typical answer (350)",
    )
    parser.add_argument("--providers", metavar="A,B", help="the providers you would use")
    parser.add_argument("--today", choices=_TODAY, default=_TODAY[0], help="what answers now")
    parser.add_argument(
        "--hours",
        type=_parse_amount,
        metavar="N",
        default=Decimal(6),
        help="upkeep, hours a month (6)",
    )
    parser.add_argument(
        "--usd-per-hour",
        type=_parse_amount,
        metavar="N",
        default=Decimal(100),
        help="of that (100)",
    )
    arguments.add_json(parser)


def run(options: Options) -> ExitStatus:
    """Print the advice; either verdict is a success."""
    from scaffold.catalog.advice import Upkeep, advise
    from scaffold.catalog.alternatives import BEST_MODEL, ONE_GOOD_MODEL, list_alternatives
    from scaffold.catalog.catalog import load
    from scaffold.catalog.estimate import Load
    from scaffold.commands import advice_report as report

    catalog = load()
    requests = Load(_count_calls(options), options.input_tokens, options.output_tokens)
    providers = _choose_providers(catalog, options.providers)
    alternatives = list_alternatives(catalog, requests, providers)
    upkeep = Upkeep(options.hours, options.usd_per_hour)
    today = ONE_GOOD_MODEL if options.today == _TODAY[0] else BEST_MODEL
    advice = advise(requests, alternatives, upkeep, today)
    if options.json:
        print(json.dumps(report.as_json(advice, alternatives, requests), ensure_ascii=False))
    else:
        print(report.as_text(advice, alternatives, catalog))
    return ExitStatus.DONE


def _count_calls(options: Options) -> int:
    if options.calls_per_day is not None:
        return options.calls_per_day
    if options.json or not sys.stdin.isatty():
        raise UsageError("advise needs --calls-per-day N; see `scaffold advise --help`.")
    return _ask_count()


def _ask_count() -> int:
    # Questionary takes a while to import, and most runs ask nothing.
    import questionary

    def validate(text: str) -> bool | str:
        try:
            return _parse_count(text.strip()) >= 0
        except argparse.ArgumentTypeError as error:
            return f"Write another number: {error}."

    prompt = questionary.text("How many requests a day?", validate=validate)
    return _parse_count(prompt.unsafe_ask().strip())


def _choose_providers(catalog: "Catalog", text: str | None) -> list[str]:
    from scaffold.answers.validate import check_choices
    from scaffold.catalog.kinds import KINDS, Selection

    if text is None:
        return catalog.default_choice(KINDS["provider"])
    names = [name.strip() for name in text.split(",") if name.strip()]
    if problems := check_choices(catalog, Selection(features={"provider": names})):
        raise AnswersError(problems)
    return names


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a whole number of 0 or more")
    # Compared by length: converting thousands of digits takes quadratic time.
    digits = text.lstrip("0")
    if len(digits) >= len(str(_LIMIT)):
        raise argparse.ArgumentTypeError(f"it is more than {_LIMIT - 1:,}")
    return int(digits or "0")


def _parse_amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a number of 0 or more")
    if amount >= _LIMIT:
        raise argparse.ArgumentTypeError(f"it is more than {_LIMIT - 1:,}")
    return amount
