"""The command line: parse it into the options of one command, run that, return an exit status.

A command imports what it needs when it runs, so that `--help` and errors come at once.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from typing import Any, Final, NoReturn, Protocol

from scaffold.commands import add, advise, check, diff, new, remove, update
from scaffold.commands import list as list_command
from scaffold.errors import ExitStatus, ScaffoldError, UsageError, system_hint


class Command(Protocol):
    """What a module in `scaffold.commands` has."""

    Options: type[Any]

    HELP: Final[str]
    """What the command does, in a line."""

    def configure(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the options."""

    def run(self, options: Any, /) -> ExitStatus:
        """Run the command."""
        ...


COMMANDS: Mapping[str, Command] = {
    "new": new,
    "update": update,
    "add": add,
    "remove": remove,
    "check": check,
    "diff": diff,
    "list": list_command,
    "advise": advise,
}
MOST_PROBLEMS = 30
MOST_PRINTED = 800
"""The longest error or hint that is printed, in characters."""
EPILOG = """\
first steps:
  scaffold new desk           asks, then writes a workspace to desk/
  scaffold list patterns      what it can be made of
  scaffold new --help         the options of a command

exit status: 0 done, 1 a mistake and nothing written, 2 usage, 3 conflicts left or behind the
template, 4 written but not verified, 130 interrupted."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit, so that --json holds there too."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see `{self.prog} --help`.")


def main(words: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(run(words))


def run(words: Sequence[str] | None = None) -> int:
    """Run one command. Return its exit status (see `ExitStatus`)."""
    words = sys.argv[1:] if words is None else words
    as_json = "--json" in words
    _replace_unprintable()
    try:
        status = _run_command(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has gone: what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.DONE
    except ScaffoldError as error:
        return _print_error(error, as_json=as_json)
    except OSError as error:
        return _print_error(_explain(error), as_json=as_json)
    except KeyboardInterrupt:
        return _print_cancelled(as_json=as_json)


def _run_command(words: Sequence[str]) -> ExitStatus:
    if bare := next((word for word in words if re.fullmatch(r"--[a-z-]+=--", word)), None):
        # Python 3.11's argparse takes this for an option without a value.
        raise UsageError(f"{bare}: `--` is not a value; leave the option out.")
    parsed = vars(_build_parser(words).parse_args(words))
    command = COMMANDS[parsed["command"]]
    names = [field.name for field in fields(command.Options)]
    return command.run(command.Options(**{name: parsed[name] for name in names}))


def _build_parser(words: Sequence[str]) -> Parser:
    """Build the parser, with the options of those commands alone that the words name."""
    parser = Parser(
        prog="scaffold",
        description="Start and keep up multi-model agent projects.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"scaffold {version('fleet-scaffold')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.HELP, allow_abbrev=False
        )
        if name in words:
            module.configure(command)
    return parser


def _replace_unprintable() -> None:
    # A path may hold bytes that are not text, and a terminal may lack a character: print an
    # escape instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _print_cancelled(*, as_json: bool) -> ExitStatus:
    if as_json:
        _print_error(ScaffoldError("Cancelled.", "nothing was written"), as_json=True)
    else:
        print("\nCancelled; nothing was written.", file=sys.stderr)
    return ExitStatus.INTERRUPTED


def _print_error(error: ScaffoldError, *, as_json: bool) -> ExitStatus:
    if as_json:
        print(json.dumps({"error": _to_json(error)}, ensure_ascii=False))
        return error.exit_status
    for problem, hint in error.pairs[:MOST_PROBLEMS]:
        print(f"error: {shorten(problem)}", file=sys.stderr)
        if hint:
            print(f"hint: {shorten(hint)}", file=sys.stderr)
    if (more := len(error.pairs) - MOST_PROBLEMS) > 0:
        print(f"error: there are {more} more mistakes\nhint: mend these first", file=sys.stderr)
    return error.exit_status


def _to_json(error: ScaffoldError) -> dict[str, object]:
    hint = "\n".join(dict.fromkeys(hint for _, hint in error.pairs if hint))
    return {
        "message": str(error),
        "hint": hint,
        "problems": [problem.as_json() for problem in error.problems],
    }


def shorten(text: str) -> str:
    """Return a message as a terminal may show it: one line of limited length, escaped."""
    line = " ".join(text.split()).removesuffix(".")
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return escaped if len(escaped) <= MOST_PRINTED else f"{escaped[: MOST_PRINTED - 1]}…"


def _explain(error: OSError) -> ScaffoldError:
    """Return what the system refused where nothing else handles it: a full disk, say."""
    where = f"{str(error.filename)[:200]}: " if error.filename else ""
    return ScaffoldError(f"{where}{error.strerror or error}.", system_hint(error))
