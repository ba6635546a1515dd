"""The command line: read it, run one command of `commands/`, and say how it ended."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from .commands import COMMANDS
from .runtime.errors import FleetError
from .runtime.redaction import hide_in_logs, redact_error
from .runtime.text import printable


def main() -> None:
    """Exit with 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted."""
    hide_in_logs()
    options, unknown = _parser().parse_known_args()
    if unknown:
        # Said by the command's own parser: its help lists what it takes.
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        # The reader has closed the pipe, as `| head` does: what is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FleetError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.exit(printable(f"error: {error.problem}{hint}"))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # A bug here or in a library: the whole traceback, without the secrets it may quote.
        error = redact_error(error)
        sys.exit(printable("".join(traceback.format_exception(error)).rstrip()))


class _Parser(argparse.ArgumentParser):
    """A parser that reports wrong usage as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where to read on, and exit with 2."""
        self.exit(2, printable(f"error: {message}\nhint: see `{self.prog} --help`\n"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(description="Ask this workspace, and see what it costs.")
    parser.set_defaults(parse=parser.parse_args)  # for a command that ends in another one
    groups = {"": parser.add_subparsers(required=True, metavar="COMMAND")}
    parsers: dict[str, _Parser] = {}
    for words, module in sorted(COMMANDS.items()):
        group, _, word = words.rpartition(" ")
        if group not in groups:
            groups[group] = parsers[group].add_subparsers(metavar="WORD", title="more")
        parsers[words] = groups[group].add_parser(
            word,
            help=module.HELP,
            description=module.HELP,
            conflict_handler="resolve",  # an extra's option takes the place of a command's
        )
        parsers[words].set_defaults(run=module.run, parser=parsers[words])
        module.configure(parsers[words])
    return parser
