"""Print what a command reports: text for a person, or one JSON object."""

import json
import sys
from collections.abc import Sequence
from typing import Protocol

from scaffold.errors import ExitStatus


class Report(Protocol):
    """What came of a command."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know besides, a line each."""
        ...

    @property
    def exit_status(self) -> ExitStatus:
        """The exit status of the command."""
        ...

    def text(self) -> str:
        """Return the report for a person."""
        ...

    def as_json(self) -> dict[str, object]:
        """Return the report under the keys of `--json`."""
        ...


def print_report(report: Report, *, as_json: bool) -> ExitStatus:
    """Print a report: notes on stderr, the rest on stdout. Return the exit status."""
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
        return report.exit_status
    for note in report.notes:
        print(f"Note: {note}", file=sys.stderr)
    print(report.text().removesuffix("\n"))
    return report.exit_status
