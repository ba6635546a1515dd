"""`costs`: what each task type cost on each model, this week against last."""

import argparse
import sys
from datetime import date
from functools import partial

from ..configuration import ledger_location, show_saving
from ..runtime import fleet
from ..runtime.errors import FleetError, SettingsError
from ..runtime.ledger import queries
from ..runtime.ledger.attempt import DEMO
from ..runtime.ledger.location import Location
from ..runtime.ledger.report_text import (
    AttemptSums,
    Report,
    alarm,
    as_text,
    dollars,
    lacking,
    money,
)
from ..runtime.text import printable

HELP = "show what each task type cost on each model, this week against last"
GROUPS = ", ".join(queries.GROUPS)
_EXPORT, _PAGE = "run `scaffold add extra cost_export`", "run `scaffold add extra cost_reports`"
_OF_EXTRAS = {"--json": _EXPORT, "--csv": _EXPORT, "--html": _PAGE}


class _NameExtra(argparse.Action):
    """An option that an extra brings: its option takes the place of this one."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        option = self.option_strings[0]
        parser.exit(2, f"error: {option} is in an extra\nhint: {_OF_EXTRAS[option]}\n")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the period, the columns to group by and the environment."""
    days = parser.add_mutually_exclusive_group()
    days.add_argument("--days", type=_days, default=7, metavar="N", help="the last N (default: 7)")
    days.add_argument(
        "--weeks", type=lambda text: 7 * _days(text), dest="days", metavar="N", help="7 times N"
    )
    days.add_argument(
        "--since", type=_since, dest="days", metavar="YYYY-MM-DD", help="from then on"
    )
    parser.add_argument("--environment", help="only this one (default: all but the demo's)")
    add_groups(parser, GROUPS)
    for option in _OF_EXTRAS:
        parser.add_argument(option, action=_NameExtra, nargs="?", help=argparse.SUPPRESS)


def add_groups(parser: argparse.ArgumentParser, names: str) -> None:
    """Add `--by`, whose help lists these names."""
    parser.add_argument(
        "--by",
        type=partial(_groups, names=names),
        default="task,model",
        metavar="COLUMNS",
        help=f"one or more of {names} (default: task,model)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the report as a table."""
    report = cost_report(options)
    problem = alarm(queries.total(report.rows))
    print_report(report, f"{problem}{_reasons(report)} Run `doctor`." if problem else "")
    return 0


def _reasons(report: Report) -> str:
    found = queries.reasons(report.location, report.since, report.environment)
    return f" Why: {', '.join(f'{kind} ({count:,})' for kind, count in found)}." if found else ""


def print_report(report: Report, first: str, forecast: int | None = None) -> None:
    """Print the table, the month and what was saved, below what a reader has to know `first`."""
    lines = [first, ""] if first else []
    lines += [as_text(report), "", month_text(report, forecast)]
    if saving := show_saving(report):
        lines.append(saving.text)
    print(printable("\n".join(lines)))


def cost_report(options: argparse.Namespace) -> Report:
    """Return what the options ask for; the demo's rows while there are only those.

    Raises FleetError for an environment that no call was made in.
    """
    location, by, days = ledger_location(fleet.find_root()), options.by, options.days
    of_attempts = None if {*by} <= {*queries.GROUPS} else _attempt_sums()
    sum_up = of_attempts.sums if of_attempts else queries.sums
    report = Report(location, by, days, options.environment, sum_up)
    if options.environment and not report.rows:
        _expect_calls(options.environment, location)
    notes = of_attempts.notes(report) if of_attempts else []
    if not (report.rows or report.before or notes or options.environment):
        report = Report(location, by, days, DEMO, sum_up)
        where = "these are the demo's recorded ones" if report.rows else "run `demo` or `ask` first"
        notes = [f"No live calls in these {days} days: {where}.\n"]
    elif not report.rows:
        notes = notes or [f"No calls match in these {days} days."]
    print("".join(f"{printable(note)}\n" for note in notes), end="", file=sys.stderr)
    return report


def _attempt_sums() -> AttemptSums:
    from .. import wiring

    if wiring.ATTEMPT_SUMS is None:
        raise SettingsError("That report is in an extra", "run `scaffold add extra cost_reports`")
    return wiring.ATTEMPT_SUMS


def _expect_calls(environment: str, location: Location) -> None:
    known = sorted(row.key[0] for row in queries.sums(location, ("environment",), 0))
    if environment not in (*known, DEMO):
        raise FleetError(
            f"No calls match: none was made in environment '{environment}'",
            f"take --environment {' or '.join(known) or DEMO}, or run `ask` first",
        )


def month_text(report: Report, forecast: int | None = None) -> str:
    """Return what this month has cost so far, in the report's environment, and its forecast."""
    root = fleet.find_root()
    month = queries.total(queries.this_month(report.location, report.environment))
    is_known = not (month.unpriced or month.unmeasured)
    spent = (dollars(month.cost_nano_usd) if is_known else money(month)) + lacking(month)
    # The forecast is computed from the same sums, and lacks what they lack.
    heading = f", heading for {'' if is_known else '≥'}{dollars(forecast)}" if forecast else ""
    if report.environment not in (None, DEMO):
        return f"This month: {spent}{heading}"  # the budget is one for all of them
    budget = fleet.load(root / "fleet.toml").budgets.month_usd
    limit = f" of {dollars(round(budget.scaleb(9)))}" if budget else ", no budget set"
    return f"This month: {spent}{limit}{heading}"


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 36_500:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 36500")
    return int(text)


def _since(text: str) -> int:
    try:
        days = queries.today() + 1 - (date.fromisoformat(text) - queries.EPOCH).days
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date like 2026-01-31") from None
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text} is yet to come")
    return days


def _groups(text: str, names: str) -> tuple[str, ...]:
    short = {"task": "task_type", "model": "request_model", "user": "user_ref"}
    asked = dict.fromkeys(short.get(word, word) for word in text.replace(" ", "").split(","))
    known = (*queries.GROUPS, "agent", "user_ref")
    for name in asked:
        if name not in known and not (name.startswith("tag:") and name[4:]):
            raise argparse.ArgumentTypeError(f"'{name}' is not one of {names}")
    return tuple(asked)
