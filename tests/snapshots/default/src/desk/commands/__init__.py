"""The commands of this workspace, by the words that call them."""

import argparse
from typing import Final, Protocol

from . import (
    ask,
    costs,
    demo,
    doctor,
    escalations,
    run,
)


class Command(Protocol):
    """What each module here has: a line of help, its arguments, and what it does.

    `run` returns the exit status.
    """

    HELP: Final[str]

    def configure(self, parser: argparse.ArgumentParser, /) -> None: ...
    def run(self, options: argparse.Namespace, /) -> int: ...


COMMANDS: dict[str, Command] = {
    "ask": ask,
    "costs": costs,
    "demo": demo,
    "doctor": doctor,
    "escalations": escalations,
    "run": run,
}
