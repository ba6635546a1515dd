"""`scaffold check [DIR]`: whether a workspace is behind its template; writes nothing."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from scaffold.commands import arguments
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Say whether a workspace is behind its template (exit status 3); needs no network."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    dir: Path
    template: str | None
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_workspace(parser)
    arguments.add_template(parser)


def run(options: Options) -> ExitStatus:
    """Check the workspace."""
    from scaffold.workspace.check import check_workspace

    return print_report(check_workspace(options.dir, options.template), as_json=options.json)
