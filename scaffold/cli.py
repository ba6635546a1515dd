"""Commands and options, no logic. A command imports what it needs when it runs."""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NoReturn

from scaffold.commands import add, advise, check, diff, new, remove, update
from scaffold.commands import list as list_command
from scaffold.errors import ScaffoldError, UsageError, system_hint

COMMANDS = {
    "new": new,
    "update": update,
    "add": add,
    "remove": remove,
    "check": check,
    "diff": diff,
    "list": list_command,
    "advise": advise,
}
INTERRUPTED = 130
MOST_MISTAKES = 30
MOST_SHOWN = 800
"""The longest error or hint that is shown, in characters."""
EPILOG = """\
first steps:
  scaffold new desk           asks, then writes a workspace to desk/
  scaffold list patterns      what it can be made of
  scaffold new --help         the options of a command

exit status: 0 done, 1 a mistake and nothing written, 2 usage, 3 conflicts left or behind the
template, 4 written but not verified, 130 interrupted."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and leave, so that --json holds there too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`.")


def main(words: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(run(words))


def run(words: Sequence[str] | None = None) -> int:
    """The exit status.

    0 done, 1 the user's mistake, 2 usage, 3 conflicts or behind, 4 not verified, 130 interrupted.
    """
    words = sys.argv[1:] if words is None else words
    _print_anything()
    try:
        if bare := next((word for word in words if re.fullmatch(r"--[a-z-]+=--", word)), None):
            # Python 3.11's argparse takes this for an option without a value.
            raise UsageError(f"{bare}: `--` is not a value; leave the option out.")
        options = _parser().parse_args(words)
        command: Callable[[argparse.Namespace], int] = options.run
        status = command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has gone: what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ScaffoldError as error:
        return _tell(error, as_json="--json" in words)
    except OSError as error:
        return _tell(_refused(error), as_json="--json" in words)
    except KeyboardInterrupt:
        return _interrupted(as_json="--json" in words)


def _interrupted(*, as_json: bool) -> int:
    if as_json:
        _tell(ScaffoldError("Cancelled.", "nothing was written"), as_json=True)
    else:
        print("\nCancelled; nothing was written.", file=sys.stderr)
    return INTERRUPTED


def _tell(error: ScaffoldError, *, as_json: bool) -> int:
    if as_json:
        problems = [problem.as_json() for problem in getattr(error, "problems", ())]
        hint = "\n".join(dict.fromkeys(hint for _, hint in error.pairs if hint))
        report = {"message": str(error), "hint": hint, "problems": problems}
        print(json.dumps({"error": report}, ensure_ascii=False))
        return error.exit_status
    for problem, hint in error.pairs[:MOST_MISTAKES]:
        print(f"error: {one_line(problem)}", file=sys.stderr)
        if hint:
            print(f"hint: {one_line(hint)}", file=sys.stderr)
    if (more := len(error.pairs) - MOST_MISTAKES) > 0:
        print(f"error: there are {more} more mistakes\nhint: mend these first", file=sys.stderr)
    return error.exit_status


def one_line(text: str) -> str:
    """A message as a terminal may show it: one line of limited length, control characters spelt."""
    words = " ".join(text.split()).removesuffix(".")
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return printable if len(printable) <= MOST_SHOWN else f"{printable[: MOST_SHOWN - 1]}…"


def _refused(error: OSError) -> ScaffoldError:
    """What the system refused where no one expected it: a full disk, say."""
    where = f"{str(error.filename)[:200]}: " if error.filename else ""
    return ScaffoldError(f"{where}{error.strerror or error}.", system_hint(error))


def _print_anything() -> None:
    # A path may hold bytes that are no text, a terminal may know no emoji: show, never crash.
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _parser() -> Parser:
    parser = Parser(
        prog="scaffold",
        description="Start and keep up multi-model agent projects.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"scaffold {version('fleet-scaffold')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.HELP, allow_abbrev=False
        )
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser
