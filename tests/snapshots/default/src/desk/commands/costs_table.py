"""`costs`: what each task type cost on each model, this week against last."""

import argparse
import sys
from datetime import date

from ..configuration import ledger_location
from ..runtime import fleet
from ..runtime.errors import FleetError
from ..runtime.ledger import queries, report_text
from ..runtime.ledger.attempt import DEMO
from ..runtime.ledger.report_text import dollars
from ..runtime.text import printable

HELP = "show what each task type cost on each model, this week against last"
GROUPS = ", ".join((*queries.GROUPS, "agent", "user", "tag:KEY"))


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
    groups = f"one or more of {GROUPS} (default: task,model)"
    parser.add_argument("--by", type=_groups, default="task,model", metavar="COLUMNS", help=groups)
    parser.add_argument("--environment", help="only this one (default: all but the demo's)")


def run(options: argparse.Namespace) -> int:
    """Print the report as a table."""
    report = cost_report(options)
    alarm = report_text.alarm(queries.total(report.rows))
    lines = [f"{alarm} Run `doctor`.\n"] if alarm else []
    lines += [report_text.as_text(report), "", month_text(report), *saving_lines(report)]
    print(printable("\n".join(lines)))
    return 0


def cost_report(options: argparse.Namespace) -> report_text.Report:
    """Return what the options ask for; the demo's rows while there are only those.

    Raises FleetError for an environment that no call was made in.
    """
    from .. import wiring

    location = ledger_location(fleet.find_root())
    of_attempts = wiring.ATTEMPT_SUMS
    report = report_text.Report(
        location, options.by, options.days, options.environment, of_attempts
    )
    if options.environment and not report.rows:
        known = queries.environments(location)
        if options.environment not in known:
            raise FleetError(
                f"No calls match: none was made in environment '{options.environment}'",
                f"take --environment {' or '.join(known) or 'demo'}, or run `ask` first",
            )
    notes: list[str] = []
    if report.needs_attempts and of_attempts:
        notes = of_attempts.notes(location, report)
    if report.rows or report.before or notes or options.environment:
        if not report.rows:
            notes = notes or [f"No calls match in these {report.days} days."]
        print("".join(f"{printable(note)}\n" for note in notes), end="", file=sys.stderr)
        return report
    demo = report_text.Report(location, options.by, options.days, DEMO, of_attempts)
    where = "these are the demo's recorded ones" if demo.rows else "run `demo` or `ask` first"
    print(f"No live calls in these {report.days} days: {where}.\n", file=sys.stderr)
    return demo


def saving_lines(report: report_text.Report) -> list[str]:
    """Return what the requests saved, where the workspace measures it."""
    from .. import wiring

    return wiring.SAVING.saving_lines(report) if wiring.SAVING else []


def month_text(report: report_text.Report) -> str:
    """Return what this month has cost so far, in the report's environment."""
    root = fleet.find_root()
    month = queries.month_total(ledger_location(root), report.environment)
    is_known = not (month.unpriced or month.unmeasured)
    spent = dollars(month.cost_nano_usd) if is_known else report_text.money(month)
    spent += report_text.lacking(month)
    if report.environment not in (None, DEMO):
        return f"This month: {spent}"  # the budget is one for all of them
    budget = fleet.load(root / "fleet.toml").budgets.month_usd
    limit = f" of {dollars(round(budget.scaleb(9)))}" if budget else ", no budget set"
    return f"This month: {spent}{limit}"


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


def _groups(text: str) -> tuple[str, ...]:
    short = {"task": "task_type", "model": "request_model", "user": "user_ref"}
    names = dict.fromkeys(short.get(word, word) for word in text.replace(" ", "").split(","))
    known = (*queries.GROUPS, "agent", "user_ref")
    for name in names:
        if name not in known and not (name.startswith("tag:") and name[4:]):
            raise argparse.ArgumentTypeError(f"'{name}' is not one of {GROUPS}")
    return tuple(names)
